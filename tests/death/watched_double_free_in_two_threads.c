/*
 * expect: CALLER_FREED_TWICE 0x0{16}, 0x\w{16}, 0x0000(\w{11}0)\).*pointer 0x\1, tag watc, page
 * verify: watch
 */
#include <pthread.h>
#include <stdlib.h>

static void *free_it(void *block)
{
    free(block);
    return NULL;
}

int main(void)
{
    pthread_t thread;
    char *block = malloc(100);
    pthread_create(&thread, NULL, free_it, block);
    pthread_join(thread, NULL);
    free(block);
    return 0;
}
