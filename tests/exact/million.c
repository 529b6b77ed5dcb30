/*
 * 1,000,000 mallocs of many sizes; 400,000 of the blocks are freed by another thread, which has ended.
 */
#include "hold.h"

#include <pthread.h>
#include <stdlib.h>

enum { BLOCKS = 1000000, FREED = 400000 };

static void *blocks[BLOCKS];

static void *free_some(void *argument)
{
    for (int i = 0; i < FREED; i++)
        free(blocks[(size_t)i * BLOCKS / FREED]);
    return argument;
}

int main(void)
{
    pthread_t thread;
    for (int i = 0; i < BLOCKS; i++)
        if ((blocks[i] = malloc((size_t)i * 7919 % 300)) == NULL)
            return 2;
    if (pthread_create(&thread, NULL, free_some, NULL) != 0 || pthread_join(thread, NULL) != 0)
        return 2;
    hold();
    return 0;
}
