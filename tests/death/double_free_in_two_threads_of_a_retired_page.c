/* expect: CALLER_FREED_TWICE */
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>

static sem_t freed, go_on;

/* The block waits at this thread to be sent home; meanwhile its page ceases to be. */
static void *free_it(void *block)
{
    free(block);
    sem_post(&freed);
    sem_wait(&go_on);
    return NULL;
}

int main(void)
{
    pthread_t thread;
    void *blocks[4];
    sem_init(&freed, 0, 0);
    sem_init(&go_on, 0, 0);
    for (int round = 0; round < 64; round++) /* the size earns pages of its own */
        free(malloc(20000));
    for (int i = 0; i < 4; i++)
        blocks[i] = malloc(20000);
    pthread_create(&thread, NULL, free_it, blocks[0]);
    sem_wait(&freed);
    for (int i = 0; i < 4; i++)
        free(blocks[i]);
    sem_post(&go_on);
    pthread_join(thread, NULL);
    return 0;
}
