/*
 * Nanoseconds of a hot free and alloc of 64 bytes: from a lookaside list, from a bare free list of the thread's, and
 * by the malloc of each allocator named: lookaside_pair ROUNDS [NAME=LIBRARY ...].
 *
 * All lie side by side in one process and take turns.  Prints a line each: name, median.
 */
#include "bench.h"

#include <dlfcn.h>
#include <string.h>
#include <tagpool.h>

#define PAIR_SIZE 64
#define PAIR_BLOCKS 256
#define PAIR_STEPS 100000
#define CONTESTANTS_MAX 16

struct contestant {
    const char *name;
    double (*run)(struct contestant *contestant);
    void *(*alloc)(size_t size);
    void (*free)(void *block);
    void *blocks[PAIR_BLOCKS];
    double *ns; /* a round each */
};

/* --- what is measured ----------------------------------------------------------------------------------------- */

static tagpool_lookaside_t list;

struct bare_block {
    struct bare_block *next;
};
static __thread struct bare_block *bare_list;

/* As if in another library: code that the compiler knows would spare instructions. */
void *bare_pop(void) __attribute__((noipa));
void bare_push(void *p) __attribute__((noipa));

void *bare_pop(void)
{
    struct bare_block *block = bare_list;
    if (__builtin_expect(block == NULL, 0))
        return malloc(PAIR_SIZE);
    bare_list = block->next;
    return block;
}

void bare_push(void *p)
{
    struct bare_block *block = p;
    block->next = bare_list;
    bare_list = block;
}

/* One loop for each, so that none is called through a pointer that another is not. */
#define RUN(name, ALLOC, FREE)                                                                                         \
    static double name(struct contestant *contestant)                                                                  \
    {                                                                                                                  \
        double started = bench_now();                                                                                  \
        for (size_t i = 0; i < PAIR_STEPS; i++) {                                                                      \
            void **block = &contestant->blocks[i % PAIR_BLOCKS];                                                       \
            FREE(*block);                                                                                              \
            *block = ALLOC;                                                                                            \
            *(char *)*block = 1;                                                                                       \
        }                                                                                                              \
        return (bench_now() - started) * 1e9 / PAIR_STEPS;                                                             \
    }

#define LIST_FREE(block) tagpool_lookaside_free(&list, (block))
RUN(run_lookaside, tagpool_lookaside_alloc(&list), LIST_FREE)
RUN(run_bare, bare_pop(), bare_push)
RUN(run_malloc, contestant->alloc(PAIR_SIZE), contestant->free)

static void *alloc_lookaside(size_t size)
{
    (void)size;
    return tagpool_lookaside_alloc(&list);
}

/* --- the race ------------------------------------------------------------------------------------------------- */

static struct contestant contestants[CONTESTANTS_MAX];
static size_t contestant_count;

static void add(const char *name, double (*run)(struct contestant *), void *(*alloc)(size_t), void (*free)(void *))
{
    struct contestant *contestant = &contestants[contestant_count++];
    *contestant = (struct contestant){.name = name, .run = run, .alloc = alloc, .free = free};
    for (size_t i = 0; i < PAIR_BLOCKS; i++)
        contestant->blocks[i] = bench_got(alloc(PAIR_SIZE));
}

static void *symbol(void *library, const char *name)
{
    void *address = library != NULL ? dlsym(library, name) : NULL;
    if (address == NULL) {
        fprintf(stderr, "lookaside_pair: %s\n", dlerror());
        exit(1);
    }
    return address;
}

static void add_library(char *argument)
{
    char *path = strchr(argument, '=');
    if (path == NULL || contestant_count == CONTESTANTS_MAX) {
        fprintf(stderr, "usage: lookaside_pair ROUNDS [NAME=LIBRARY ...]\n");
        exit(2);
    }
    *path++ = '\0';
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    add(argument, run_malloc, (void *(*)(size_t))(uintptr_t)symbol(library, "malloc"),
        (void (*)(void *))(uintptr_t)symbol(library, "free"));
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

static void race(size_t rounds)
{
    for (size_t i = 0; i < contestant_count; i++)
        contestants[i].ns = bench_got(calloc(rounds, sizeof(double)));
    for (size_t round = 0; round < rounds; round++)
        for (size_t i = 0; i < contestant_count; i++) {
            /* Whoever comes later finds the clock warmer: take turns. */
            struct contestant *contestant = &contestants[(i + round) % contestant_count];
            contestant->ns[round] = contestant->run(contestant);
        }
    for (size_t i = 0; i < contestant_count; i++) {
        qsort(contestants[i].ns, rounds, sizeof(double), compare);
        printf("%s %.3f\n", contestants[i].name, contestants[i].ns[rounds / 2]);
    }
}

int main(int argc, char **argv)
{
    size_t rounds = argc > 1 ? strtoull(argv[1], NULL, 10) : 101;
    const tagpool_lookaside_options_t options = {
        .kind = TAGPOOL_PAGED, .tag = TAGPOOL_TAG('P', 'a', 'i', 'r'), .size = PAIR_SIZE};
    if (rounds == 0 || tagpool_lookaside_init(&list, &options) != 0)
        return 2;
    add("lookaside", run_lookaside, alloc_lookaside, NULL);
    add("bare", run_bare, malloc, NULL);
    add("glibc", run_malloc, malloc, free);
    for (int i = 2; i < argc; i++)
        add_library(argv[i]);
    race(rounds);
    return 0;
}
