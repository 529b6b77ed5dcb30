/*
 * Found at the end of the thread.
 *
 * expect: FREED_POOL_MODIFIED 0x0000(\w{11}5), 0x0{15}1, 0x0{16}, 0x0{16}\).*pointer 0x\1, tag hard, page
 * verify: harden
 */
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

static void *free_and_write(void *block)
{
    free(block);
    ((char *)block)[5] = 'x';
    return NULL;
}

int main(void)
{
    pthread_t thread;
    char *block = malloc(100);
    pthread_create(&thread, NULL, free_and_write, block);
    pthread_join(thread, NULL);
    pause();
    return 0;
}
