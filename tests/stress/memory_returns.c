/*
 * Memory goes back to the system: by malloc_trim, by itself after a while, and from threads that ended or only free.
 *
 * Usage: memory_returns CASE
 */
#include "rss.h"

#include <malloc.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>

#define MIB ((size_t)1 << 20)
enum { BLOCKS = 400000, SIZE = 250, WAIT_STEPS = 400 };

static void *blocks[BLOCKS];

static void alloc_blocks(int first, int end)
{
    for (int i = first; i < end; i++) {
        blocks[i] = malloc(SIZE);
        if (blocks[i] == NULL)
            abort();
        memset(blocks[i], 0x11, SIZE);
    }
}

static void free_blocks(int first, int end)
{
    for (int i = first; i < end; i++)
        free(blocks[i]);
}

static int verdict(const char *what, size_t before, size_t now, size_t allowed)
{
    printf("%s: %zu MiB before, %zu MiB now, at most %zu more allowed\n", what, before / MIB, now / MIB, allowed / MIB);
    return now > before + allowed;
}

static int case_trim(void)
{
    size_t before = rss_bytes();
    alloc_blocks(0, BLOCKS);
    if (rss_bytes() < before + 90 * MIB)
        return 2;
    free_blocks(0, BLOCKS);
    malloc_trim(0);
    return verdict("trim", before, rss_bytes(), 12 * MIB);
}

/* Calls go on at a low rate: what lies free goes back in time.  However long that takes on a busy machine. */
static int case_idle(void)
{
    size_t before = rss_bytes();
    alloc_blocks(0, BLOCKS);
    free_blocks(0, BLOCKS);
    for (int i = 0; i < WAIT_STEPS && rss_bytes() > before + 12 * MIB; i++) {
        usleep(50000);
        free(malloc(200000));
    }
    return verdict("idle", before, rss_bytes(), 12 * MIB);
}

static void *free_all_in_thread(void *argument)
{
    free_blocks(0, BLOCKS);
    return argument;
}

/* Who allocated goes on with a few calls, and gets back what another thread freed. */
static int case_idle_owner(void)
{
    pthread_t thread;
    size_t before = rss_bytes();
    alloc_blocks(0, BLOCKS);
    pthread_create(&thread, NULL, free_all_in_thread, NULL);
    pthread_join(thread, NULL);
    alloc_blocks(0, 5000);
    free_blocks(0, 5000);
    malloc_trim(0);
    return verdict("idle owner", before, rss_bytes(), 12 * MIB);
}

static sem_t full, empty;
static volatile int last;

static void *only_free(void *argument)
{
    for (;;) {
        sem_wait(&full);
        if (last)
            return argument;
        free_blocks(0, BLOCKS);
        sem_post(&empty);
    }
}

/* One thread allocates, another frees and never allocates. */
static int case_only_frees(void)
{
    pthread_t thread;
    sem_init(&full, 0, 0);
    sem_init(&empty, 0, 0);
    pthread_create(&thread, NULL, only_free, NULL);
    size_t before = rss_bytes(), most = 0;
    for (int round = 0; round < 12; round++) {
        alloc_blocks(0, BLOCKS);
        most = rss_bytes() > most ? rss_bytes() : most;
        sem_post(&full);
        sem_wait(&empty);
    }
    last = 1;
    sem_post(&full);
    pthread_join(thread, NULL);
    return verdict("only frees", before, most, 160 * MIB);
}

static void *alloc_in_thread(void *argument)
{
    alloc_blocks(0, BLOCKS);
    return argument;
}

/* The same, but who allocated has ended when the blocks are freed by a thread that never allocated. */
static int case_dead_owner(void)
{
    pthread_t owner, thread;
    sem_init(&full, 0, 0);
    sem_init(&empty, 0, 0);
    pthread_create(&thread, NULL, only_free, NULL);
    size_t before = rss_bytes(), most = 0;
    for (int round = 0; round < 12; round++) {
        pthread_create(&owner, NULL, alloc_in_thread, NULL);
        pthread_join(owner, NULL);
        most = rss_bytes() > most ? rss_bytes() : most;
        sem_post(&full);
        sem_wait(&empty);
    }
    last = 1;
    sem_post(&full);
    pthread_join(thread, NULL);
    malloc_trim(0);
    return verdict("dead owner, most", before, most, 160 * MIB) |
           verdict("dead owner, end", before, rss_bytes(), 12 * MIB);
}

enum { SHARE = BLOCKS / 100 };

static void *alloc_share(void *argument)
{
    int first = (int)(size_t)argument * SHARE;
    alloc_blocks(first, first + SHARE);
    for (int i = first; i < first + SHARE; i++)
        if (i % 10 != 0) {
            free(blocks[i]);
            blocks[i] = NULL;
        }
    return NULL;
}

/* A hundred threads come and go, each leaving a tenth of its blocks: the rest of their pages serves the next. */
static int case_dead_pages(void)
{
    size_t before = rss_bytes();
    for (size_t i = 0; i < 100; i++) {
        pthread_t thread;
        pthread_create(&thread, NULL, alloc_share, (void *)i);
        pthread_join(thread, NULL);
    }
    int failed = verdict("dead pages", before, rss_bytes(), 25 * MIB);
    free_blocks(0, BLOCKS);
    malloc_trim(0);
    return failed | verdict("dead pages, end", before, rss_bytes(), 12 * MIB);
}

/* A large block gives its memory back at once or by trim. */
static int case_large(void)
{
    size_t before = rss_bytes();
    for (int i = 0; i < 20; i++) {
        char *block = malloc(64 * MIB);
        if (block == NULL)
            return 2;
        memset(block, 1, 64 * MIB);
        free(block);
    }
    malloc_trim(0);
    return verdict("large", before, rss_bytes(), 4 * MIB);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        int (*run)(void);
    } cases[] = {
        {"trim", case_trim},
        {"idle", case_idle},
        {"idle_owner", case_idle_owner},
        {"only_frees", case_only_frees},
        {"dead_owner", case_dead_owner},
        {"dead_pages", case_dead_pages},
        {"large", case_large},
    };
    for (int i = 0; i < BLOCKS; i++) /* resident from the start */
        ((void *volatile *)blocks)[i] = NULL;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        if (argc == 2 && strcmp(argv[1], cases[i].name) == 0)
            return cases[i].run();
    return 64;
}
