/*
 * Threads that leave by the system call: no destructor runs.  Their blocks stay good, their accounts stay, and their
 * records and pages are found and used again.
 */
#include "hold.h"
#include "rss.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/syscall.h>

enum { THREADS = 600, BLOCKS = 300, SIZE = 1000 };

static void *blocks[THREADS][BLOCKS];

static void *vanish(void *argument)
{
    void **mine = argument;
    for (int i = 0; i < BLOCKS; i++) {
        mine[i] = malloc(SIZE);
        memset(mine[i], 0x33, SIZE);
    }
    syscall(SYS_exit, 0);
    return NULL;
}

int main(void)
{
    size_t most = 0;
    for (int i = 0; i < THREADS; i++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, vanish, blocks[i]) != 0)
            return 2;
        pthread_join(thread, NULL);
        for (int n = 0; i >= 4 && n < BLOCKS; n++)
            free(blocks[i - 4][n]);
        if (rss_bytes() > most)
            most = rss_bytes();
    }
    hold_counts(THREADS * BLOCKS, (THREADS - 4) * BLOCKS);
    /* All that they ever had is 180 MB; what is live at any time is 1.5 MB. */
    if (most > (size_t)80 << 20) {
        fprintf(stderr, "the memory of threads that vanished is not used again: %zu bytes\n", most);
        return 1;
    }
    return 0;
}
