/*
 * What the bench programs share: a clock, dice that always fall the same way, and the line each prints.
 *
 * Work is fixed by the scale alone, never by the clock or the machine, so that runs compare.
 */
#ifndef BENCH_H
#define BENCH_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static inline double bench_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* The one line that bench/run reads. */
static inline void bench_report(double started)
{
    printf("seconds %.6f\n", bench_now() - started);
}

/* `usual` times the scale, which is the program's argument `at`; 1 when there is none. */
static inline uint64_t bench_scaled(int argc, char **argv, int at, uint64_t usual)
{
    double scale = argc > at ? strtod(argv[at], NULL) : 1;
    if (!(scale > 0)) {
        fprintf(stderr, "%s: the scale must be a number above 0\n", argv[0]);
        exit(2);
    }
    double scaled = scale * (double)usual;
    return scaled < 1 ? 1 : (uint64_t)scaled;
}

/* xorshift64*: a few instructions, so that the dice do not hide the allocator. */
static inline uint64_t bench_roll(uint64_t *dice)
{
    *dice ^= *dice >> 12;
    *dice ^= *dice << 25;
    *dice ^= *dice >> 27;
    return *dice * UINT64_C(0x2545f4914f6cdd1d) >> 16;
}

static inline void *bench_got(void *block)
{
    if (block == NULL) {
        fputs("out of memory\n", stderr);
        abort();
    }
    return block;
}

/* Write one byte every `step`: what a program does with a block, as far as the memory system sees it. */
static inline void bench_touch(void *block, size_t size, size_t step)
{
    volatile char *bytes = block;
    for (size_t at = 0; at < size; at += step)
        bytes[at] = 1;
}

#endif
