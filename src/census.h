/*
 * The census: the numbers of each tag, summed up from a segment while its program runs.
 *
 * The library uses it in process (tagpool_stats), the tools on a mapped file.  It trusts nothing in the segment but
 * the fields that tp_census_open has checked and copied.  It neither allocates nor calls anything but memset and
 * memcpy.
 *
 * N1  No address outside the checked tables is read, whatever the segment holds and however it changes meanwhile.
 * N2  A sum without `moved` was read within one value of the slot's sequence: each number lies between its true
 *     values at the start and at the end of the read, and what is live is not shown too small.
 * N3  A read ends after a bounded number of steps, also when the program never rests.
 *
 * Who maps a file that another process can truncate must be ready for SIGBUS in both functions.
 */
#ifndef TP_CENSUS_H
#define TP_CENSUS_H

#include <stddef.h>
#include <stdint.h>
#include <tagpool/segment.h>

/* More rows than this (8 TiB of pool memory) are taken for damage: a hostile header must not cost minutes. */
#define TP_CENSUS_MAX_ROWS (UINT64_C(1) << 27)

/* A row names its slot by 16 bits. */
#define TP_CENSUS_MAX_SLOTS 65536u

struct tp_census_view {
    const struct tagpool_segment_header *header;
    const struct tagpool_segment_slot *slots;
    const struct tagpool_segment_tally *tallies;
    const struct tagpool_segment_quota *quotas;
    const struct tagpool_segment_row *rows;
    uint64_t row_count;
    uint32_t slot_count;
    uint32_t tally_count;
    uint32_t quota_count;
    uint32_t class_size[TAGPOOL_SEGMENT_TABLES][TAGPOOL_SEGMENT_CLASSES];
};

struct tp_census_sum {
    uint64_t allocs; /* all blocks, large ones included */
    uint64_t frees;
    uint64_t alloc_bytes;
    uint64_t free_bytes;
    uint64_t large_allocs; /* blocks that have a span of their own */
    uint64_t large_frees;
    uint64_t large_alloc_bytes;
    uint64_t large_free_bytes;
    uint64_t peak_bytes; /* at least what is live */
    uint32_t sequence;   /* of the slot when its read began */
    uint8_t pending;     /* to be read (again) */
    uint8_t torn;        /* one of its rows changed hands too often in this pass */
    uint8_t moved;       /* kept changing while we read: the numbers are near, not exact */
};

/*
 * Check a segment of `size` bytes, aligned to 8, and fill *view.  0, or
 *   -EINVAL           this is no segment
 *   -EPROTONOSUPPORT  a segment of another version
 *   -EBADMSG          a damaged one: a table does not lie within the file
 */
int tp_census_open(struct tp_census_view *view, const void *segment, size_t size);

/* One more than the highest slot that can be in use now. */
uint32_t tp_census_slot_limit(const struct tp_census_view *view);

/* One more than the highest quota account that can be in use now. */
uint32_t tp_census_quota_limit(const struct tp_census_view *view);

/* Sum up slots [first_slot, first_slot + slot_count) into sums[0..slot_count).  Slots not in use give zeros. */
void tp_census_sum(const struct tp_census_view *view, uint32_t first_slot, uint32_t slot_count,
                   struct tp_census_sum *sums);

/* Live blocks and bytes; never below zero, also where a slot moved. */
uint64_t tp_census_live_blocks(const struct tp_census_sum *sum);
uint64_t tp_census_live_bytes(const struct tp_census_sum *sum);

#endif
