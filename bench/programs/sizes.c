/*
 * Many sizes: 8 bytes to 64 KiB, each doubling as likely as the next, in a set of some 30 MB.
 *
 * Every size class is in use at once; what is seen is how an allocator finds its way among them, and what the classes
 * cost in memory.
 */
#include "bench.h"

#define SIZES_BLOCKS 4096
#define SIZES_STEPS UINT64_C(7000000)
#define SIZES_DOUBLINGS 13

static char *sizes_blocks[SIZES_BLOCKS];

/* Log-distributed: a doubling by dice, then a place in it. */
static size_t sizes_pick(uint64_t roll)
{
    size_t low = (size_t)8 << roll % SIZES_DOUBLINGS;
    return low + (roll >> 8) % low + 1;
}

static void sizes_step(uint64_t roll)
{
    char **block = &sizes_blocks[(roll >> 32) % SIZES_BLOCKS];
    size_t size = sizes_pick(roll);
    free(*block);
    *block = bench_got(malloc(size));
    (*block)[0] = 1;
    (*block)[size - 1] = 1;
}

int main(int argc, char **argv)
{
    uint64_t steps = bench_scaled(argc, argv, 1, SIZES_STEPS);
    uint64_t dice = 2;
    double started = bench_now();
    for (uint64_t i = 0; i < steps; i++)
        sizes_step(bench_roll(&dice));
    for (size_t i = 0; i < SIZES_BLOCKS; i++)
        free(sizes_blocks[i]);
    bench_report(started);
    return 0;
}
