/*
 * One request: from a slot and a size to a block.  The slow half of all faces; the fast one is in fast.h.
 */
#ifndef TP_ALLOC_H
#define TP_ALLOC_H

#include "limit.h"
#include "site.h"

#include <tagpool/report.h>

/* What is asked for besides a size. */
enum tp_alloc_flag {
    TP_ALLOC_ZERO = 1u << 0, /* all bytes up to the block's size */
};

struct tp_alloc_request {
    uint32_t slot;
    uint32_t flags;   /* enum tp_alloc_flag */
    uint32_t account; /* quota account to be charged, or TP_ACCOUNT_NONE */
    enum tp_priority priority;
    size_t size;
    size_t alignment;              /* a power of two, at least 16 */
    struct tp_call call;           /* who asks; zeros: the engine itself */
    enum tagpool_report_face face; /* by which function; 0: the engine itself */
};

/* A block as requested, counted; NULL with errno ENOMEM or EDQUOT.  `thread` may be NULL. */
void *tp_alloc_requested(struct tp_thread *thread, const struct tp_alloc_request *request);

/* The same where it is known already what the verifier does with it. */
struct tp_verify_plan;
void *tp_alloc_planned(struct tp_thread *thread, const struct tp_alloc_request *request, struct tp_verify_plan plan);

/*
 * A block as requested, in place of one of the same kind of pool that is charged to the same account for `before`
 * bytes: the charge goes with it, and only the difference is asked for.  Forgetting the other's is the caller's.
 */
void *tp_alloc_replacing(struct tp_thread *thread, const struct tp_alloc_request *request, size_t before);

/*
 * A block for the engine's own purposes: at least `size` bytes for a slot, aligned to `alignment` (a power of two, at
 * least 16), counted.  NULL with errno ENOMEM when memory is exhausted.  `thread` may be NULL.
 */
void *tp_alloc(struct tp_thread *thread, uint32_t slot, size_t size, size_t alignment);

/*
 * A block for a caller whom the gate's table knows, after the fast path found none on the current page: the slow path
 * less the questions that are answered.  NULL: ask them (tp_alloc).
 */
void *tp_alloc_known(uint64_t key, size_t size, enum tagpool_report_face face);

/* A hardened block of a page that has one. */
void *tp_alloc_sealed_long(struct tp_page *page, size_t size, enum tagpool_report_face face)
    __attribute__((returns_nonnull));

/* Requests whose packed class follows from their size. */
#define TP_ALLOC_SHORT (TP_SEAL_SHORT - TP_SEAL_BYTES)

/* As tp_alloc_fast, of the packed table, where blocks are hardened. */
TP_INLINE void *tp_alloc_sealed(uint64_t key, size_t size, enum tagpool_report_face face)
{
    struct tp_site_entry *entry = tp_site_find(tp_gate_self, key);
    if (TP_UNLIKELY(entry == NULL || size - 1 >= TP_CLASS_MAX_SIZE - TP_SEAL_BYTES))
        return NULL;
    struct tp_page *page = entry->heap->page[tp_class_of(&tp_class_tables[TP_TABLE_PACKED], size + TP_SEAL_BYTES)];
    if (TP_UNLIKELY(page->sealed == NULL))
        return NULL;
    if (TP_UNLIKELY(size > TP_ALLOC_SHORT))
        return tp_alloc_sealed_long(page, size, face);
    size_t block_size = tp_round_up(size + TP_SEAL_BYTES, 16);
    char *block = tp_heap_pop_short(page, block_size);
    tp_page_count_alloc(page);
    tp_seal_close_short(block, block_size, size, face);
    return block;
}

/* The first `size` bytes of a new block are zero; hardened ones are, as far as they are looked at. */
TP_INLINE void *tp_alloc_clear(void *block, size_t size)
{
    return tp_seal_is_on() && size <= TP_SEAL_LOOKED ? block : memset(block, 0, size);
}

/*
 * As tp_alloc, for a nonpaged slot: whole OS pages, at a multiple of a huge page.  Their memory is that of huge pages
 * where the system has them (is_huge), so it is contiguous within each.
 */
void *tp_alloc_huge(uint32_t slot, size_t size, bool *is_huge);

#endif
