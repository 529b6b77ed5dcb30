/*
 * Many blocks in special pool at once: scale ALLOCS LIVE, to be run under the verifier.
 *
 * ALLOCS blocks of 16 to 2048 bytes of the paged pool are allocated, and freed in an order by dice, so that LIVE live
 * at once.  Each has its first and last byte written and read back.  Prints a line each:
 *
 *   failures   allocations that returned NULL
 *   wrong      blocks that did not have the bytes they were given
 *   mappings   of the process, most that were seen
 *   peak_kib   peak RSS
 *   seconds    of all
 */
#include "bench.h"

#include <sys/resource.h>
#include <tagpool.h>

#define SCALE_TAG TAGPOOL_TAG('S', 'c', 'a', 'l')
#define SCALE_SAMPLES 20

struct scale_block {
    unsigned char *bytes;
    uint32_t size;
    unsigned char first, last;
};

static struct scale_block *scale_blocks;
static uint64_t scale_live, scale_failures, scale_wrong, scale_mappings;

static void scale_end(struct scale_block *block)
{
    if (block->bytes == NULL)
        return;
    scale_wrong += block->bytes[block->size - 1] != block->last || (block->size > 1 && block->bytes[0] != block->first);
    tagpool_free(block->bytes);
    block->bytes = NULL;
}

static void scale_step(struct scale_block *block, uint64_t roll)
{
    scale_end(block);
    *block = (struct scale_block){.size = 16 + (uint32_t)(roll % 2033), .first = (unsigned char)(roll >> 16)};
    block->last = (unsigned char)(roll >> 24);
    block->bytes = tagpool_alloc(TAGPOOL_PAGED, block->size, SCALE_TAG);
    if (block->bytes == NULL) {
        scale_failures++;
        return;
    }
    block->bytes[0] = block->first;
    block->bytes[block->size - 1] = block->last;
}

static void scale_count_mappings(void)
{
    FILE *maps = fopen("/proc/self/maps", "r");
    uint64_t lines = 0;
    if (maps == NULL)
        return;
    for (int c; (c = getc(maps)) != EOF;)
        lines += c == '\n';
    fclose(maps);
    scale_mappings = lines > scale_mappings ? lines : scale_mappings;
}

static void scale_run(uint64_t allocs)
{
    uint64_t dice = 1;
    for (uint64_t i = 0; i < allocs; i++) {
        uint64_t roll = bench_roll(&dice);
        uint64_t place = i < scale_live ? i : (roll >> 20) % scale_live;
        scale_step(&scale_blocks[place], roll);
        if (i % (allocs / SCALE_SAMPLES + 1) == 0)
            scale_count_mappings();
    }
    scale_count_mappings();
    for (uint64_t i = 0; i < scale_live; i++)
        scale_end(&scale_blocks[i]);
    scale_count_mappings();
}

int main(int argc, char **argv)
{
    struct rusage usage;
    double started = bench_now();
    uint64_t allocs = argc == 3 ? strtoull(argv[1], NULL, 10) : 0;
    scale_live = argc == 3 ? strtoull(argv[2], NULL, 10) : 0;
    if (allocs == 0 || scale_live == 0) {
        fprintf(stderr, "usage: scale ALLOCS LIVE\n");
        return 2;
    }
    scale_blocks = bench_got(calloc(scale_live, sizeof(scale_blocks[0])));
    scale_run(allocs);
    getrusage(RUSAGE_SELF, &usage);
    printf("failures %llu\nwrong %llu\nmappings %llu\npeak_kib %ld\n", (unsigned long long)scale_failures,
           (unsigned long long)scale_wrong, (unsigned long long)scale_mappings, usage.ru_maxrss);
    bench_report(started);
    return 0;
}
