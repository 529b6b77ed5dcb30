/*
 * Who comes second waits until the block has ended.
 *
 * expect: CALLER_FREED_TWICE 0x0{16}, 0x\w{16}, 0x0000(\w{9}FA0)\).*pointer 0x\1, tag spec, page
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
