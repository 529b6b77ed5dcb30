/*
 * Single-thread churn: one of a small set of small blocks, chosen by dice, is freed and allocated anew.
 *
 * The set fits the second-level cache, so that what is seen is the fast paths and how closely blocks lie.
 */
#include "bench.h"

#define CHURN_BLOCKS 4096
#define CHURN_STEPS UINT64_C(55000000)

static char *churn_blocks[CHURN_BLOCKS];

static void churn_step(uint64_t roll)
{
    char **block = &churn_blocks[roll % CHURN_BLOCKS];
    size_t size = 16 + (roll >> 20) % 240;
    free(*block);
    *block = bench_got(malloc(size));
    **block = 1;
}

int main(int argc, char **argv)
{
    uint64_t steps = bench_scaled(argc, argv, 1, CHURN_STEPS);
    uint64_t dice = 1;
    double started = bench_now();
    for (uint64_t i = 0; i < steps; i++)
        churn_step(bench_roll(&dice));
    for (size_t i = 0; i < CHURN_BLOCKS; i++)
        free(churn_blocks[i]);
    bench_report(started);
    return 0;
}
