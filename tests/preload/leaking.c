/*
 * Three blocks are lost, at two places; one is kept by a variable.  Usage: leaking WAY-TO-END
 */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

void *kept;

static __attribute__((noinline)) void lose_small(void)
{
    volatile char *block = malloc(100);
    block[0] = 1;
}

static __attribute__((noinline)) void lose_large(void)
{
    volatile char *block = malloc(3000);
    block[0] = 1;
}

/* So that no pointer is left where the program has been. */
static __attribute__((noinline)) void wipe(void)
{
    volatile char stack[32 * 1024];
    for (size_t i = 0; i < sizeof(stack); i++)
        stack[i] = 0;
}

static void *wait_for_ever(void *argument)
{
    for (;;)
        pause();
    return argument;
}

static void lose_all(void)
{
    kept = malloc(40);
    for (volatile int i = 0; i < 2; i++)
        lose_small();
    lose_large();
    wipe();
}

/* A child that shares memory ends first; it says nothing, and the parent does all the same. */
static void end_after_vfork(void)
{
    pid_t child = vfork();
    if (child == 0)
        _exit(0);
    waitpid(child, NULL, 0);
}

int main(int argc, char **argv)
{
    const char *way = argc > 1 ? argv[1] : "exit";
    pthread_t thread;
    lose_all();
    if (strcmp(way, "threads") == 0)
        for (int i = 0; i < 3; i++)
            pthread_create(&thread, NULL, wait_for_ever, NULL);
    if (strcmp(way, "vfork") == 0)
        end_after_vfork();
    if (strcmp(way, "fork") == 0 && fork() != 0) {
        wait(NULL);
        kill(getpid(), SIGKILL);
    }
    if (strcmp(way, "quick_exit") == 0)
        quick_exit(0);
    if (strcmp(way, "_exit") == 0)
        _exit(0);
    if (strcmp(way, "fork") == 0)
        free(malloc(10)); /* a child that uses no memory has nothing to tell */
    return 0;
}
