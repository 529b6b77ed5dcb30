/* expect: CALLER_FREED_TWICE */
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
