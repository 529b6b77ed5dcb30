#include "dice.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

uint64_t dice_setting(const char *name, uint64_t usual)
{
    const char *value = getenv(name);
    return value != NULL ? strtoull(value, NULL, 0) : usual;
}

struct dice dice_from_environment(void)
{
    uint64_t seed = 1;
    if (getrandom(&seed, sizeof(seed), 0) != (ssize_t)sizeof(seed))
        seed = 1;
    seed = dice_setting("TAGPOOL_SEED", seed >> 16);
    printf("seed: TAGPOOL_SEED=%llu\n", (unsigned long long)seed);
    fflush(stdout);
    /* Zero is the one state that xorshift never leaves. */
    return (struct dice){seed != 0 ? seed * UINT64_C(0x9e3779b97f4a7c15) : 1};
}
