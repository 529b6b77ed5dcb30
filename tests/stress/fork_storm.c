/*
 * Many forks from a threaded parent, each child allocating and freeing: by fork, _Fork, a raw clone, and vfork.
 *
 * Threads of the parent allocate and free all the while, so that children begin in the middle of anything.  Nothing
 * may be lost or hang, and afterwards the parent's accounts are what the parent did.
 *
 * Usage: fork_storm FORKS      three of four children allocate
 */
#include "dice.h"
#include "hold.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum { BUSY = 3, HAND = 64, OWN = 200, CHILD_SECONDS = 40 };

static volatile int stop;
static uint64_t allocs, frees;
static void *own[OWN];

static void *be_busy(void *argument)
{
    struct dice dice = {(uintptr_t)argument * UINT64_C(0x9e3779b97f4a7c15)};
    void *hand[HAND] = {NULL};
    uint64_t allocated = 0, freed = 0;
    while (!stop) {
        void **place = &hand[dice_below(&dice, HAND)];
        freed += *place != NULL;
        free(*place);
        *place = malloc(dice_below(&dice, 100) == 0 ? dice_below(&dice, 300000) : dice_below(&dice, 1000));
        allocated++;
    }
    for (int i = 0; i < HAND; i++) {
        freed += hand[i] != NULL;
        free(hand[i]);
    }
    __atomic_fetch_add(&allocs, allocated, __ATOMIC_RELAXED);
    __atomic_fetch_add(&frees, freed, __ATOMIC_RELAXED);
    return NULL;
}

static void check(int good)
{
    if (!good)
        _exit(9);
}

/* A child that works on: inherited blocks, its own, and a resize. */
static void work_in_child(int number)
{
    char *blocks[50];
    for (int i = 0; i < 50; i++) {
        size_t size = (size_t)(i * number) % 2000 + 1;
        blocks[i] = malloc(size);
        check(blocks[i] != NULL);
        memset(blocks[i], i, size);
    }
    for (int i = 0; i < OWN; i += 3) {
        check(*(int *)own[i] == i);
        free(own[i]);
    }
    for (int i = 0; i < 50; i++) {
        blocks[i] = realloc(blocks[i], 5000);
        check(blocks[i] != NULL && blocks[i][0] == i);
        free(blocks[i]);
    }
    char *large = malloc(400000);
    check(large != NULL);
    large[399999] = 1;
    free(large);
}

static pid_t start_by_clone(void)
{
    return (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, 0);
}

static pid_t start(int way)
{
    switch (way) {
    case 0: return fork();
    case 1: return _Fork();
    case 2: return start_by_clone();
    default: return -1;
    }
}

static void expect_success(pid_t pid, const char *what)
{
    int status = -1;
    if (pid > 0 && waitpid(pid, &status, 0) == pid && status == 0)
        return;
    fprintf(stderr, "%s: child ended with status 0x%x\n", what, (unsigned)status);
    _exit(5);
}

/* Every fiftieth goes as far as exec. */
static __attribute__((noinline)) void use_vfork(int number)
{
    static char *const arguments[] = {"true", NULL};
    pid_t pid = vfork();
    if (pid == 0) {
        if (number % 50 == 3)
            execv("/bin/true", arguments);
        _exit(number % 50 == 3 ? 7 : 0);
    }
    expect_success(pid, "vfork");
}

static void fork_once(int number)
{
    static const char *const ways[] = {"fork", "_Fork", "clone"};
    int way = number % 4;
    if (way == 3) {
        use_vfork(number);
        return;
    }
    pid_t pid = start(way);
    if (pid == 0) {
        alarm(CHILD_SECONDS); /* a child that hangs fails by it */
        work_in_child(number);
        _exit(0);
    }
    expect_success(pid, ways[way]);
}

int main(int argc, char **argv)
{
    pthread_t threads[BUSY];
    int forks = argc == 2 ? atoi(argv[1]) : 1000;
    for (int i = 0; i < OWN; i++) {
        own[i] = malloc(sizeof(int) + (size_t)i * 3);
        *(int *)own[i] = i;
    }
    for (uintptr_t i = 0; i < BUSY; i++)
        pthread_create(&threads[i], NULL, be_busy, (void *)(i + 1));
    for (int i = 0; i < forks; i++)
        fork_once(i);
    stop = 1;
    for (int i = 0; i < BUSY; i++)
        pthread_join(threads[i], NULL);
    hold_counts(allocs + OWN, frees);
    return 0;
}
