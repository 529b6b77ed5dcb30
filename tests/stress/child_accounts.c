/*
 * A forked child that goes on working has accounts of its own: what it inherited live, and what it did.
 *
 * Then its child, and one that starts a thread at once.
 */
#include "hold.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/wait.h>

enum { LIVE = 700, GONE = 300, MORE = 3000 };

static void *live[LIVE], *more[MORE];

static void say_who(void)
{
    char text[32];
    snprintf(text, sizeof(text), "process %d\n", (int)getpid());
    hold_say(text);
}

static void alloc_more(void)
{
    for (int i = 0; i < MORE; i++)
        more[i] = malloc((size_t)i % 2500);
}

static void *alloc_in_thread(void *argument)
{
    alloc_more();
    return argument;
}

/* The grandchild begins with all that is live in its parent. */
static int grandchild(void)
{
    say_who();
    for (int i = 0; i < MORE; i += 2)
        free(more[i]);
    for (int i = 0; i < MORE; i += 2)
        more[i] = malloc(3000);
    hold_counts(LIVE - 100 + MORE + MORE / 2, MORE / 2);
    return 0;
}

static int child(void)
{
    say_who();
    for (int i = 0; i < 100; i++)
        free(live[i]);
    alloc_more();
    hold_counts(LIVE + MORE, 100);
    pid_t pid = fork();
    if (pid == 0)
        _exit(grandchild());
    int status = -1;
    waitpid(pid, &status, 0);
    say_who();
    hold_counts(LIVE + MORE, 100);
    return status;
}

static int child_with_thread(void)
{
    pthread_t thread;
    say_who();
    if (pthread_create(&thread, NULL, alloc_in_thread, NULL) != 0 || pthread_join(thread, NULL) != 0)
        return 2;
    hold_counts(LIVE + MORE, 0);
    return 0;
}

static int wait_for(int (*work)(void))
{
    int status = -1;
    pid_t pid = fork();
    if (pid == 0)
        _exit(work() != 0);
    return waitpid(pid, &status, 0) != pid || status != 0;
}

int main(void)
{
    for (int i = 0; i < LIVE; i++)
        live[i] = malloc((size_t)i * 3);
    for (int i = 0; i < GONE; i++)
        free(malloc((size_t)i * 40));
    int failed = wait_for(child) | wait_for(child_with_thread);
    say_who();
    hold_counts(LIVE + GONE, GONE);
    return failed;
}
