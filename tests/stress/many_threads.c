/*
 * More threads at once than a small address space has records for: those without one share, and are counted.
 *
 * Usage: many_threads SIZES      how many different sizes of blocks they want
 */
#include "hold.h"

#include <pthread.h>
#include <stdlib.h>

enum { THREADS = 200, BLOCKS = 300, PLACES = 2000, STACK = 131072 };

static pthread_barrier_t all_here;
static void *places[PLACES];
static uint64_t frees, sizes;

static void *work(void *argument)
{
    uint64_t freed = 0, number = (uintptr_t)argument;
    pthread_barrier_wait(&all_here);
    for (uint64_t i = 0; i < BLOCKS; i++) {
        size_t size = (size_t)((number * 31 + i * 7) % sizes * 900 / sizes) + 1;
        char *block = malloc(size);
        if (block == NULL)
            abort();
        memset(block, (int)number, size);
        void *old = __atomic_exchange_n(&places[(number * 131 + i * 17) % PLACES], block, __ATOMIC_ACQ_REL);
        freed += old != NULL;
        free(old);
    }
    __atomic_fetch_add(&frees, freed, __ATOMIC_RELAXED);
    pthread_barrier_wait(&all_here);
    return NULL;
}

int main(int argc, char **argv)
{
    if (argc != 2)
        return 64;
    sizes = strtoul(argv[1], NULL, 10);
    static pthread_t threads[THREADS];
    pthread_attr_t small;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, STACK);
    pthread_barrier_init(&all_here, NULL, THREADS);
    for (uintptr_t i = 0; i < THREADS; i++)
        if (pthread_create(&threads[i], &small, work, (void *)i) != 0)
            return 2;
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    hold_counts(THREADS * BLOCKS, frees);
    for (int i = 0; i < PLACES; i++)
        free(places[i]);
    hold_counts(THREADS * BLOCKS, THREADS * BLOCKS);
    return 0;
}
