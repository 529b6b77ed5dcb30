/*
 * Hostile segments against the census: nothing outside the file may be read, and every read must end.
 *
 * With libFuzzer: clang -fsanitize=fuzzer,address -DSEGMENT_FUZZ_LIBFUZZER.  Without, a program of its own damages a
 * valid segment at random:  segment_fuzz [ROUNDS [SEED]]
 */
#include "census.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* The page behind the input is inaccessible, so that reading beyond it is seen without a sanitizer, too. */
static unsigned char *fuzz_place(const uint8_t *data, size_t size)
{
    static unsigned char *area;
    const size_t most = 1 << 20, page = 4096;
    if (area == NULL) {
        area = mmap(NULL, most + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (area == MAP_FAILED || mprotect(area + most, page, PROT_NONE) != 0)
            abort();
    }
    if (size > most)
        return NULL;
    unsigned char *place = area + most - (size + 7) / 8 * 8; /* segments are aligned to 8 */
    memcpy(place, data, size);
    return place;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct tp_census_sum sums[TP_CENSUS_MAX_SLOTS];
    struct tp_census_view view;
    unsigned char *segment = fuzz_place(data, size);
    if (segment == NULL || tp_census_open(&view, segment, size) != 0)
        return 0;
    uint32_t limit = tp_census_slot_limit(&view);
    tp_census_sum(&view, 0, limit, sums);
    for (uint32_t i = 0; i < limit; i++)
        if (sums[i].peak_bytes < tp_census_live_bytes(&sums[i]))
            abort();
    tp_census_sum(&view, limit / 2, 1, sums);
    return 0;
}

#ifndef SEGMENT_FUZZ_LIBFUZZER

static uint64_t fuzz_state;

static uint64_t fuzz_random(void)
{
    fuzz_state ^= fuzz_state << 13;
    fuzz_state ^= fuzz_state >> 7;
    fuzz_state ^= fuzz_state << 17;
    return fuzz_state;
}

enum { FUZZ_SLOTS = 16, FUZZ_TALLIES = 16, FUZZ_QUOTAS = 4, FUZZ_ROWS = 128 };

struct fuzz_segment {
    struct tagpool_segment_header header;
    unsigned char rest[2 * TAGPOOL_SEGMENT_PAGE - sizeof(struct tagpool_segment_header)];
    struct tagpool_segment_slot slots[FUZZ_SLOTS];
    struct tagpool_segment_tally tallies[FUZZ_TALLIES];
    struct tagpool_segment_quota quotas[FUZZ_QUOTAS];
    struct tagpool_segment_row rows[FUZZ_ROWS];
};

static void fuzz_make(struct fuzz_segment *segment)
{
    memset(segment, 0, sizeof(*segment));
    segment->header = (struct tagpool_segment_header){
        .magic = TAGPOOL_SEGMENT_MAGIC,
        .version = TAGPOOL_SEGMENT_VERSION,
        .header_size = sizeof(struct tagpool_segment_header),
        .file_size = sizeof(*segment),
        .slot_size = sizeof(struct tagpool_segment_slot),
        .slot_count = FUZZ_SLOTS,
        .slots_offset = offsetof(struct fuzz_segment, slots),
        .tally_size = sizeof(struct tagpool_segment_tally),
        .tally_count = FUZZ_TALLIES,
        .tallies_offset = offsetof(struct fuzz_segment, tallies),
        .quota_size = sizeof(struct tagpool_segment_quota),
        .quota_count = FUZZ_QUOTAS,
        .quotas_offset = offsetof(struct fuzz_segment, quotas),
        .row_size = sizeof(struct tagpool_segment_row),
        .row_count = FUZZ_ROWS,
        .rows_offset = offsetof(struct fuzz_segment, rows),
        .slots_used_total = FUZZ_SLOTS,
        .tallies_used_total = FUZZ_TALLIES,
        .quotas_used_total = FUZZ_QUOTAS,
        .region = {{0, FUZZ_ROWS / 2}, {FUZZ_ROWS / 2, FUZZ_ROWS / 2}},
    };
    for (unsigned i = 1; i < FUZZ_SLOTS; i++)
        segment->slots[i].used = 1;
    for (unsigned i = 0; i < FUZZ_TALLIES; i++)
        segment->tallies[i].slot = i;
    for (unsigned i = 0; i < FUZZ_ROWS; i++)
        segment->rows[i].id = fuzz_random();
}

/* Numbers at which arithmetic breaks come as often as others. */
static uint64_t fuzz_number(void)
{
    static const uint64_t numbers[] = {0, 1, 7, 8, 4096, 8192, 65535, 65536, INT32_MAX, UINT32_MAX, UINT64_MAX,
                                       UINT64_MAX / 32, UINT64_MAX / 256 + 1, UINT64_C(1) << 63};
    uint64_t pick = fuzz_random();
    size_t count = sizeof(numbers) / sizeof(numbers[0]);
    return pick % 2 == 0 ? numbers[pick / 2 % count] + fuzz_random() % 3 - 1 : fuzz_random() >> fuzz_random() % 64;
}

/* Half the damage hits the header, of which 32 words matter most; the magic and sizes are mostly left, or nothing
 * else would ever be reached. */
static void fuzz_damage(struct fuzz_segment *segment)
{
    unsigned char *bytes = (unsigned char *)segment;
    for (uint64_t n = fuzz_random() % 6; n > 0; n--) {
        size_t range = fuzz_random() % 2 == 0 ? sizeof(segment->header) - 8 : sizeof(*segment) - 8;
        size_t at = fuzz_random() % range;
        uint64_t number = fuzz_number();
        at -= fuzz_random() % 4 != 0 ? at % 4 : 0;
        memcpy(bytes + at, &number, fuzz_random() % 2 == 0 ? 4 : 8);
    }
    if (fuzz_random() % 4 != 0) {
        segment->header.magic = TAGPOOL_SEGMENT_MAGIC;
        segment->header.version = TAGPOOL_SEGMENT_VERSION;
    }
}

int main(int argc, char **argv)
{
    static struct fuzz_segment segment;
    unsigned long rounds = argc > 1 ? strtoul(argv[1], NULL, 10) : 100000;
    uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 0) : (uint64_t)(uintptr_t)&argc * 0x9e3779b97f4a7c15u;
    printf("segment_fuzz %lu 0x%llx\n", rounds, (unsigned long long)seed);
    fflush(stdout);
    fuzz_state = seed | 1;
    for (unsigned long i = 0; i < rounds; i++) {
        fuzz_make(&segment);
        fuzz_damage(&segment);
        size_t size = sizeof(segment) - (fuzz_random() % 4 == 0 ? fuzz_random() % sizeof(segment) : 0);
        LLVMFuzzerTestOneInput((const uint8_t *)&segment, size);
    }
    return 0;
}

#endif
