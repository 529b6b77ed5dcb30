/*
 * Three blocks of 200 bytes are lost at one place.  One more is only in a register, one on the stack of a thread that
 * waits, one behind a variable, and one is entered in the middle.  Then it stands still, at work and waiting.
 */
#include "hold.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

static void *volatile kept;
static char *volatile middle;
static uintptr_t volatile hidden;
static int ends[2];
static int interruptions;
static pthread_barrier_t barrier;

static __attribute__((noinline)) void lose(void)
{
    volatile char *block = malloc(200);
    block[0] = 1;
}

static __attribute__((noinline)) void make_hidden(void)
{
    hidden = ~(uintptr_t)memset(malloc(300), 0, 300);
}

static __attribute__((noinline)) void wipe(void)
{
    volatile char stack[32 * 1024];
    for (size_t i = 0; i < sizeof(stack); i++)
        stack[i] = 0;
}

/* Its pointer is in a register, and nowhere else. */
static void *work(void *argument)
{
    make_hidden();
    wipe();
    pthread_barrier_wait(&barrier);
#if defined(__x86_64__)
    __asm__ volatile("movq %0, %%r12\n\tnotq %%r12\n1:\tpause\n\tjmp 1b" : : "m"(hidden) : "r12");
#else
    kept = (void *)~hidden;
#endif
    return argument;
}

/* A call that the system begins anew: it must not be seen to have been interrupted. */
static void *wait_for_end(void *argument)
{
    void *volatile here = memset(malloc(400), 0, 400);
    char c;
    pthread_barrier_wait(&barrier);
    if (read(ends[0], &c, 1) != 1 || here == NULL)
        interruptions++;
    return argument;
}

static void lose_all(void)
{
    kept = memset(malloc(500), 0, 500);
    middle = (char *)memset(malloc(600), 0, 600) + 100;
    for (volatile int i = 0; i < 3; i++)
        lose();
    wipe();
}

int main(int argc, char **argv)
{
    pthread_t worker, waiter;
    if (argc > 1 && strcmp(argv[1], "secret") == 0)
        prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    lose_all();
    pthread_barrier_init(&barrier, NULL, 3);
    if (pipe(ends) != 0 || pthread_create(&worker, NULL, work, NULL) != 0 ||
        pthread_create(&waiter, NULL, wait_for_end, NULL) != 0)
        return 1;
    pthread_barrier_wait(&barrier);
    hold();
    if (write(ends[1], "", 1) != 1)
        return 1;
    pthread_join(waiter, NULL);
    return interruptions;
}
