/*
 * A thread of a busy process calls exec: the new program is counted from zero, under one name.
 */
#include "hold.h"

#include <glob.h>
#include <pthread.h>
#include <stdlib.h>

enum { BUSY = 3, BLOCKS = 777 };

static void *blocks[BLOCKS];

static void *be_busy(void *argument)
{
    for (;;)
        free(malloc(100));
    return argument;
}

static void *become(void *program)
{
    char *const arguments[] = {program, "again", NULL};
    execv(program, arguments);
    _exit(6);
}

/* Names of segments with our number. */
static size_t count_names(void)
{
    char pattern[64];
    glob_t found;
    snprintf(pattern, sizeof(pattern), "/dev/shm/tagpool.*.%d*", (int)getpid());
    if (glob(pattern, 0, NULL, &found) != 0)
        return 0;
    size_t count = found.gl_pathc;
    globfree(&found);
    return count;
}

int main(int argc, char **argv)
{
    pthread_t thread;
    if (argc == 2) {
        for (int i = 0; i < BLOCKS; i++)
            blocks[i] = malloc((size_t)i);
        hold_counts(BLOCKS, 0);
        return count_names() == 1 && blocks[0] != NULL ? 0 : 8;
    }
    for (int i = 0; i < BUSY; i++)
        pthread_create(&thread, NULL, be_busy, NULL);
    pthread_create(&thread, NULL, become, argv[0]);
    pthread_join(thread, NULL);
    return 7;
}
