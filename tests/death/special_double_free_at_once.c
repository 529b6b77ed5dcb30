/*
 * Who comes second may find the block ended, or still look at it.
 *
 * expect: CALLER_FREED_TWICE|FREED_POOL_TOUCHED
 * verify: special=all
 */
#include <pthread.h>
#include <stdlib.h>

static pthread_barrier_t barrier;
static void *volatile block;

static void *free_it(void *unused)
{
    for (int i = 0; i < 20000; i++) {
        pthread_barrier_wait(&barrier);
        free(block);
        pthread_barrier_wait(&barrier);
    }
    return NULL;
}

int main(void)
{
    pthread_t thread;
    pthread_barrier_init(&barrier, NULL, 2);
    pthread_create(&thread, NULL, free_it, NULL);
    for (int i = 0; i < 20000; i++) {
        block = malloc(96);
        pthread_barrier_wait(&barrier);
        free(block);
        pthread_barrier_wait(&barrier);
    }
    return 0;
}
