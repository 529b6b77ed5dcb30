/*
 * Large blocks: 1 to 32 MiB, each OS page written once, eight alive at a time.
 *
 * What is seen is how often memory goes to the system and comes back, page fault by page fault, against what is kept.
 */
#include "bench.h"

#define LARGE_BLOCKS 8
#define LARGE_STEPS UINT64_C(800)
#define LARGE_MIN ((size_t)1 << 20)
#define LARGE_DOUBLINGS 5
#define OS_PAGE 4096

static char *large_blocks[LARGE_BLOCKS];

static size_t large_pick(uint64_t roll)
{
    size_t low = LARGE_MIN << roll % LARGE_DOUBLINGS;
    return low + (roll >> 8) % low + 1;
}

static void large_step(uint64_t roll)
{
    char **block = &large_blocks[(roll >> 36) % LARGE_BLOCKS];
    size_t size = large_pick(roll);
    free(*block);
    *block = bench_got(malloc(size));
    bench_touch(*block, size, OS_PAGE);
}

int main(int argc, char **argv)
{
    uint64_t steps = bench_scaled(argc, argv, 1, LARGE_STEPS);
    uint64_t dice = 6;
    double started = bench_now();
    for (uint64_t i = 0; i < steps; i++)
        large_step(bench_roll(&dice));
    for (size_t i = 0; i < LARGE_BLOCKS; i++)
        free(large_blocks[i]);
    bench_report(started);
    return 0;
}
