/*
 * Threads that end all at once, with destructors that allocate, and free late what they and others allocated.
 *
 * Keys made before the first malloc and after it, so that destructors run on both sides of the engine's own; and
 * destructors that set their key again, to run in every round there is.
 */
#include "hold.h"

#include <pthread.h>
#include <stdlib.h>

enum { ROUNDS = 60, THREADS = 16, KEYS = 6, BLOCKS = 40 };

extern int __cxa_thread_atexit_impl(void (*destructor)(void *), void *object, void *dso);
extern void *__dso_handle;

static pthread_key_t keys[KEYS];
static void *exchanged[THREADS * BLOCKS];
static uint64_t allocs, frees, notes;

static void *take(size_t size)
{
    char *block = malloc(size);
    if (block == NULL)
        abort();
    block[0] = 1;
    __atomic_fetch_add(&allocs, 1, __ATOMIC_RELAXED);
    return block;
}

static void give(void *block)
{
    if (block == NULL)
        return;
    __atomic_fetch_add(&frees, 1, __ATOMIC_RELAXED);
    free(block);
}

/* The value is a block that ends with its round number; the fourth is the last that the C library runs. */
static void destroy(void *value)
{
    unsigned char *block = value;
    int round = block[1];
    void *scratch = take(3000);
    give(__atomic_exchange_n(&exchanged[block[2]], NULL, __ATOMIC_ACQ_REL));
    give(scratch);
    if (round < 3) {
        unsigned char *next = take(100 + (size_t)round);
        next[1] = (unsigned char)(round + 1);
        next[2] = block[2];
        pthread_setspecific(keys[block[3]], next);
        next[3] = block[3];
    }
    give(block);
}

static void destroy_object(void *object)
{
    give(take(500));
    give(object);
}

static void *live_and_end(void *argument)
{
    int number = (int)(uintptr_t)argument;
    for (int k = 0; k < KEYS; k++) {
        unsigned char *block = take(64);
        block[1] = 0;
        block[2] = (unsigned char)(number * KEYS + k);
        block[3] = (unsigned char)k;
        pthread_setspecific(keys[k], block);
    }
    /* The C library allocates the note of it on our behalf, and frees it when it is done. */
    __atomic_fetch_add(&notes, 1, __ATOMIC_RELAXED);
    __cxa_thread_atexit_impl(destroy_object, take(200), &__dso_handle);
    for (int i = 0; i < BLOCKS; i++) {
        void **place = &exchanged[(number + i * THREADS) % (THREADS * BLOCKS)];
        give(__atomic_exchange_n(place, NULL, __ATOMIC_ACQ_REL));
        give(__atomic_exchange_n(place, take((size_t)i * 30 + 1), __ATOMIC_ACQ_REL));
    }
    return NULL;
}

static void storm(void)
{
    pthread_t threads[THREADS];
    for (uintptr_t i = 0; i < THREADS; i++)
        if (pthread_create(&threads[i], NULL, live_and_end, (void *)i) != 0)
            abort();
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
}

int main(void)
{
    /* One before the engine starts, whose own key is made at the first malloc. */
    pthread_key_create(&keys[0], destroy);
    free(malloc(1));
    for (int k = 1; k < KEYS; k++)
        pthread_key_create(&keys[k], destroy);
    for (int round = 0; round < ROUNDS; round++)
        storm();
    hold_counts(allocs + notes + 1, frees + notes + 1);
    for (int i = 0; i < THREADS * BLOCKS; i++)
        give(exchanged[i]);
    hold_counts(allocs + notes + 1, frees + notes + 1);
    return allocs != frees;
}
