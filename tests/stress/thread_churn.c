/*
 * 1,000 threads start and end while others free their blocks.
 *
 * Each thread puts blocks into places of a common table and frees what was there before: blocks of threads that run,
 * that end at this moment, and that ended long ago.
 */
#include "dice.h"
#include "hold.h"

#include <pthread.h>
#include <stdlib.h>

enum { THREADS = 1000, AT_ONCE = 8, CALLS = 400, PLACES = 3000 };

static void *places[PLACES];
static uint64_t allocs, frees;

static void put(struct dice *dice, uint64_t *freed)
{
    size_t size = dice_below(dice, 50) == 0 ? dice_below(dice, 200000) : dice_below(dice, 600);
    unsigned char *block = malloc(size);
    if (block == NULL)
        abort();
    if (size > 0)
        block[0] = block[size - 1] = 0x5a;
    void *old = __atomic_exchange_n(&places[dice_below(dice, PLACES)], block, __ATOMIC_ACQ_REL);
    *freed += old != NULL;
    free(old);
}

static void *churn(void *argument)
{
    struct dice dice = {(uintptr_t)argument * UINT64_C(0x9e3779b97f4a7c15)};
    uint64_t freed = 0;
    for (int i = 0; i < CALLS; i++)
        put(&dice, &freed);
    __atomic_fetch_add(&allocs, CALLS, __ATOMIC_RELAXED);
    __atomic_fetch_add(&frees, freed, __ATOMIC_RELAXED);
    return NULL;
}

int main(void)
{
    static pthread_t threads[THREADS];
    for (uintptr_t i = 0; i < THREADS; i++) {
        if (i >= AT_ONCE)
            pthread_join(threads[i - AT_ONCE], NULL);
        if (pthread_create(&threads[i], NULL, churn, (void *)(i + 1)) != 0)
            return 2;
    }
    for (int i = THREADS - AT_ONCE; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    hold_counts(allocs, frees);
    for (int i = 0; i < PLACES; i++) {
        frees += places[i] != NULL;
        free(places[i]);
    }
    hold_counts(allocs, allocs);
    return frees != allocs;
}
