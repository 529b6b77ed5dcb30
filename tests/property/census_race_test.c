/*
 * A reader beside threads that never rest: each number it takes for good lies between what was true when its read
 * began and when it ended, and it never sees more frees than allocs (N2, G3).
 *
 * Threads also end, so that tallies are folded and pages change hands under the reader.
 */
#include "alloc.h"
#include "census.h"
#include "dice.h"
#include "start.h"

#include <tagpool/tagpool.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { THREADS = 3, HAND = 200, LIFE = 20000, TAGS = 3 };

/* A call is begun before and done after it counts. */
struct truth {
    uint64_t allocs_begun, allocs_done, frees_begun, frees_done;
};

static struct truth truths[TAGS];
static uint32_t slots[TAGS];
static int stop;

static tagpool_tag_t tag_at(unsigned tag)
{
    return TAGPOOL_TAG('R', 'a', 'c', '0' + tag);
}

static void add(uint64_t *counter)
{
    __atomic_fetch_add(counter, 1, __ATOMIC_SEQ_CST);
}

static uint64_t get(const uint64_t *counter)
{
    return __atomic_load_n(counter, __ATOMIC_SEQ_CST);
}

struct held {
    void *block;
    unsigned tag;
};

/* Blocks pass between threads through here. */
static struct held shared[HAND];
static pthread_mutex_t shared_mutex = PTHREAD_MUTEX_INITIALIZER;

static void give(struct held held)
{
    if (held.block == NULL)
        return;
    add(&truths[held.tag].frees_begun);
    tagpool_free(held.block);
    add(&truths[held.tag].frees_done);
}

static struct held take(struct dice *dice)
{
    struct held held = {.tag = (unsigned)dice_below(dice, TAGS)};
    size_t size = dice_below(dice, 200) == 0 ? 200000 : dice_below(dice, 400);
    add(&truths[held.tag].allocs_begun);
    held.block = tagpool_alloc(TAGPOOL_PAGED, size, tag_at(held.tag));
    add(&truths[held.tag].allocs_done);
    return held;
}

static void *live(void *argument)
{
    struct dice dice = {(uintptr_t)argument};
    struct held hand[HAND] = {{NULL, 0}};
    for (int i = 0; i < LIFE && !tp_peek(&stop); i++) {
        struct held *place = &hand[dice_below(&dice, HAND)];
        give(*place);
        *place = take(&dice);
        if (dice_below(&dice, 4) != 0)
            continue;
        struct held *other = &shared[dice_below(&dice, HAND)];
        pthread_mutex_lock(&shared_mutex);
        struct held swapped = *other;
        *other = *place;
        *place = swapped;
        pthread_mutex_unlock(&shared_mutex);
    }
    for (int i = 0; i < HAND; i++)
        give(hand[i]);
    return NULL;
}

static void *keep_alive(void *argument)
{
    struct dice dice = {(uintptr_t)argument};
    while (!tp_peek(&stop)) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, live, (void *)(uintptr_t)(dice_roll(&dice) | 1)) != 0)
            abort();
        pthread_join(thread, NULL);
    }
    return NULL;
}

static void check_between(const char *what, uint64_t low, uint64_t value, uint64_t high)
{
    if (low <= value && value <= high)
        return;
    printf("FAILED: %s: %llu is not within %llu and %llu\n", what, (unsigned long long)value, (unsigned long long)low,
           (unsigned long long)high);
    fflush(stdout);
    abort();
}

/* 1 when the slot stood still enough to be read. */
static int read_once(unsigned tag)
{
    struct tp_census_view view;
    struct tp_census_sum sum;
    const struct truth *truth = &truths[tag];
    uint64_t allocs = get(&truth->allocs_done), frees = get(&truth->frees_done);
    if (tp_census_open(&view, tp_segment, tp_segment->file_size) != 0)
        abort();
    tp_census_sum(&view, slots[tag], 1, &sum);
    if (sum.moved)
        return 0;
    check_between("allocs", allocs, sum.allocs, get(&truth->allocs_begun));
    check_between("frees", frees, sum.frees, get(&truth->frees_begun));
    check_between("frees against allocs", 0, sum.frees, sum.allocs);
    return 1;
}

static void check_end(unsigned tag)
{
    struct tagpool_stats stats;
    if (tagpool_stats(TAGPOOL_PAGED, tag_at(tag), &stats) != 0)
        abort();
    check_between("allocs at the end", truths[tag].allocs_done, stats.allocs, truths[tag].allocs_done);
    check_between("frees at the end", truths[tag].allocs_done, stats.frees, truths[tag].allocs_done);
}

int main(void)
{
    pthread_t threads[THREADS];
    struct dice dice = dice_from_environment();
    time_t end = time(NULL) + (time_t)dice_setting("TAGPOOL_SECONDS", 4);
    unsigned long reads = 0, good = 0;
    tp_start();
    for (unsigned tag = 0; tag < TAGS; tag++)
        slots[tag] = tp_tag_open(tag_at(tag), TP_LAYOUT_PAGED);
    for (int i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, keep_alive, (void *)(uintptr_t)(dice_roll(&dice) | 1));
    do {
        good += (unsigned long)read_once((unsigned)(reads % TAGS));
        reads++;
    } while (time(NULL) < end);
    tp_poke(&stop, 1);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < HAND; i++)
        give(shared[i]);
    for (unsigned tag = 0; tag < TAGS; tag++)
        check_end(tag);
    printf("%lu reads, %lu of a slot that stood still enough\n", reads, good);
    return good < reads / 2;
}
