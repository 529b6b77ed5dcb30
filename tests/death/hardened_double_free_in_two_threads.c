/*
 * expect: CALLER_FREED_TWICE 0x0{16}, 0x\w{16}, 0x0000(\w{11}0)\).*pointer 0x\1, tag hard, page
 * verify: harden
 */
#include <pthread.h>
#include <stdlib.h>

/* So many that the caller has pages of its own. */
enum { MANY = 3000 };

static void *blocks[MANY];

static void fill(size_t size)
{
    for (int i = 0; i < MANY; i++)
        blocks[i] = malloc(size);
}

static void *free_middle(void *argument)
{
    free(blocks[MANY / 2]);
    return argument;
}

int main(void)
{
    pthread_t thread;
    fill(100);
    free(blocks[MANY / 2]);
    pthread_create(&thread, NULL, free_middle, NULL);
    pthread_join(thread, NULL);
    return 0;
}
