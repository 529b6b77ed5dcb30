/*
 * Random numbers that a run can be repeated with: xorshift64*, from one seed.
 */
#ifndef TEST_DICE_H
#define TEST_DICE_H

#include <stdint.h>

struct dice {
    uint64_t state;
};

static inline uint64_t dice_roll(struct dice *dice)
{
    dice->state ^= dice->state >> 12;
    dice->state ^= dice->state << 25;
    dice->state ^= dice->state >> 27;
    return dice->state * UINT64_C(0x2545f4914f6cdd1d);
}

/* 0 to below - 1. */
static inline uint64_t dice_below(struct dice *dice, uint64_t below)
{
    return (dice_roll(dice) >> 16) % below;
}

/* TAGPOOL_SEED, else new for each run; said on stdout, so that a failure can be had again. */
struct dice dice_from_environment(void);

/* A number from the environment, or what is usual. */
uint64_t dice_setting(const char *name, uint64_t usual);

#endif
