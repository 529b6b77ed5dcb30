/*
 * O1, O2 and what callers see: patterns, how long freed blocks are kept from use and whose they are meanwhile, what is
 * found when all blocks are looked at, and that other threads may be at work then.
 */
#include "unit.h"

#include "child.h"
#include "dice.h"
#include "fault.h"

#include "blame.h"
#include "block.h"
#include "limit.h"
#include "side.h"
#include "start.h"
#include "watch.h"

#include <tagpool.h>

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define TAG TAGPOOL_TAG('W', 't', 'c', 'h')
enum { FEW = 100, PLACES = 3000 };

static unsigned char *places[PLACES];

/* --- helpers -------------------------------------------------------------------------------------------------- */

static void begin(const char *words)
{
    setenv("TAGPOOL_VERIFY", words, 1);
    tp_start();
}

static unsigned char *make(size_t size)
{
    unsigned char *block = tagpool_alloc(TAGPOOL_PAGED, size, TAG);
    ck_assert_ptr_nonnull(block);
    ck_assert_uint_eq(tagpool_size(block), size);
    return block;
}

static struct tp_page *page_of(const void *block)
{
    return tp_block_look_up(block).page;
}

static uint32_t index_of(const void *block)
{
    return tp_page_index(page_of(block), block);
}

static size_t behind(const unsigned char *block)
{
    return page_of(block)->block_size - tagpool_size(block);
}

static bool is_all(unsigned char value, const unsigned char *at, size_t size)
{
    while (size > 0 && at[size - 1] == value)
        size--;
    return size == 0;
}

static struct tagpool_stats stats(void)
{
    struct tagpool_stats now = {0};
    ck_assert_int_eq(tagpool_stats(TAGPOOL_PAGED, TAG, &now), 0);
    return now;
}

static void must_stop(void (*work)(void *), const char *rule)
{
    struct child_result result = child_run(work, NULL);
    ck_assert_msg(child_stopped(&result, rule), "%s: %s", rule, result.text);
}

/* --- patterns ------------------------------------------------------------------------------------------------- */

START_TEST(one_pattern_stands_behind_a_block)
{
    begin("watch");
    for (size_t size = 0; size <= TP_CLASS_MAX_SIZE - TP_WATCH_ZONE; size += size < 300 ? 1 : 997) {
        unsigned char *block = make(size);
        ck_assert(page_of(block)->watched);
        ck_assert_uint_ge(behind(block), TP_WATCH_ZONE);
        ck_assert(is_all(block[size], block + size, behind(block)));
        ck_assert_uint_eq((uintptr_t)block % 16, 0);
        memset(block, 0, size);
        tagpool_free(block);
    }
}
END_TEST

START_TEST(neighbours_have_different_ones)
{
    begin("watch");
    for (int i = 0; i < FEW; i++)
        places[i] = make(100);
    for (int i = 1; i < FEW; i++)
        if (places[i - 1] + page_of(places[i])->block_size == places[i])
            ck_assert_uint_ne(places[i - 1][100], places[i][100]);
    for (int i = 0; i < FEW; i++)
        tagpool_free(places[i]);
}
END_TEST

START_TEST(freed_blocks_are_filled)
{
    static const size_t lengths[] = {0, 100, 1000, 5000};
    begin("watch");
    for (int i = 0; i < 4; i++) {
        unsigned char *block = make(lengths[i]);
        size_t filled = tp_min(page_of(block)->block_size, TP_KIB);
        memset(block, 0, lengths[i]);
        tagpool_free(block);
        ck_assert_uint_ge(block[0], 0xf0);
        ck_assert(is_all(block[0], block, filled));
    }
}
END_TEST

START_TEST(blocks_used_before_are_zero_again)
{
    begin("watch quarantine=1");
    for (int i = 0; i < FEW; i++) {
        unsigned char *block = tagpool_zalloc(TAGPOOL_PAGED, 500, TAG);
        ck_assert(is_all(0, block, 500));
        memset(block, 0xff, 500);
        tagpool_free(block);
    }
}
END_TEST

START_TEST(alignments_are_kept)
{
    begin("watch");
    for (size_t alignment = 32; alignment <= 4096; alignment *= 2) {
        unsigned char *block = tagpool_alloc_aligned(TAGPOOL_PAGED, alignment, 100, TAG);
        ck_assert_uint_eq((uintptr_t)block % alignment, 0);
        ck_assert(page_of(block)->watched);
        ck_assert(is_all(block[100], block + 100, behind(block)));
        tagpool_free(block);
    }
}
END_TEST

START_TEST(what_is_too_large_is_ordinary)
{
    begin("watch");
    unsigned char *block = tagpool_alloc(TAGPOOL_PAGED, TP_CLASS_MAX_SIZE - TP_WATCH_ZONE + 1, TAG);
    ck_assert(!page_of(block)->watched);
    tagpool_free(block);
    block = tagpool_alloc(TAGPOOL_PAGED, 10 * TP_MIB, TAG);
    ck_assert(!page_of(block)->watched);
    tagpool_free(block);
    ck_assert_uint_eq(stats().bytes, 0);
}
END_TEST

/* --- quarantine ----------------------------------------------------------------------------------------------- */

/* All that were freed are kept from use until so many others were. */
START_TEST(a_block_waits_for_its_turn)
{
    enum { LENGTH = 7 };
    begin("watch quarantine=7");
    for (int i = 0; i < FEW; i++) {
        places[i] = make(100);
        for (int before = i < LENGTH ? 0 : i - LENGTH; before < i; before++)
            ck_assert_ptr_ne(places[before], places[i]);
        if (i > LENGTH)
            ck_assert_ptr_eq(places[i - LENGTH - 1], places[i]);
        tagpool_free(places[i]);
    }
}
END_TEST

/* More bytes than a thread keeps from use, in few blocks. */
START_TEST(quarantine_is_bounded_by_bytes)
{
    begin("watch");
    size_t size = 64 * TP_KIB, count = 0;
    unsigned char *first = make(size);
    tagpool_free(first);
    for (; count < FEW && make(size) != first; count++)
        tagpool_free(make(size));
    ck_assert_uint_lt(count, 8);
}
END_TEST

START_TEST(it_is_never_longer_than_there_is_room)
{
    begin("watch quarantine=1000000");
    for (int i = 0; i < PLACES; i++)
        places[i] = make(16);
    for (int i = 0; i < PLACES; i++)
        tagpool_free(places[i]);
    for (int i = 0; i < PLACES; i++)
        places[i] = make(16);
    for (int i = 0; i < PLACES; i++)
        tagpool_free(places[i]);
    ck_assert_uint_eq(stats().bytes, 0);
}
END_TEST

/* Quarantine is not what makes a request fail. */
START_TEST(scarce_memory_is_not_kept_from_use)
{
    struct rlimit limit = {64 * TP_KIB, 64 * TP_KIB};
    ck_assert_int_eq(setrlimit(RLIMIT_MEMLOCK, &limit), 0);
    begin("watch");
    for (int round = 0; round < FEW; round++) {
        int count = 0;
        for (; count < 8; count++) {
            places[count] = tagpool_alloc(TAGPOOL_NONPAGED, 4000, TAG);
            ck_assert_ptr_nonnull(places[count]);
            ck_assert(page_of(places[count])->watched);
        }
        while (count > 0)
            tagpool_free(places[--count]);
    }
}
END_TEST

/* Counted at once, and not given out for long (O1). */
START_TEST(a_freed_block_counts_as_freed)
{
    begin("watch");
    unsigned char *block = make(100);
    struct tp_page *page = page_of(block);
    uint32_t used = page->used, index = index_of(block);
    ck_assert_uint_eq(stats().bytes, 112);
    tagpool_free(block);
    ck_assert_uint_eq(stats().bytes, 0);
    ck_assert_uint_eq(stats().frees, 1);
    ck_assert_uint_eq(page->used, used);
    ck_assert_uint_eq(tp_side_peek(page, index).slot, TAGPOOL_SEGMENT_NO_SLOT);
    uint32_t slot = tp_tag_find(TAG, TP_LAYOUT_PAGED);
    ck_assert_uint_eq(tp_tags[slot].meter.bound, tp_gate_self->thread->slots[slot].drawn);
}
END_TEST

static sem_t freed, go_on;

static void *free_all(void *unused)
{
    for (int i = 0; i < FEW; i++)
        tagpool_free(places[i]);
    sem_post(&freed);
    sem_wait(&go_on);
    return unused;
}

/* They wait with whom they were freed by (O2), and come home when that thread ends. */
START_TEST(another_thread_keeps_what_it_freed)
{
    pthread_t thread;
    begin("watch quarantine=50");
    sem_init(&freed, 0, 0);
    sem_init(&go_on, 0, 0);
    for (int i = 0; i < FEW; i++)
        places[i] = make(100);
    struct tp_page *page = page_of(places[FEW - 1]);
    uint32_t used = page->used;
    pthread_create(&thread, NULL, free_all, NULL);
    sem_wait(&freed);
    ck_assert_uint_eq(stats().bytes, 0);
    tp_heap_trim(tp_thread_self());
    ck_assert_uint_eq(page->used, used); /* the last ones are kept from use */
    for (int i = 0; i < 50; i++)
        ck_assert_ptr_ne(make(100), places[FEW - 1]);
    sem_post(&go_on);
    pthread_join(thread, NULL);
    bool found = false;
    for (int i = 0; i < 2 * FEW && !found; i++)
        found = make(100) == places[FEW - 1];
    ck_assert(found);
}
END_TEST

/* --- resize --------------------------------------------------------------------------------------------------- */

START_TEST(a_block_stays_where_nothing_of_it_changes)
{
    begin("watch");
    unsigned char *block = make(100);
    memset(block, 1, 100);
    ck_assert_ptr_eq(tagpool_realloc(block, 104), block);
    ck_assert_uint_eq(tagpool_size(block), 104);
    memset(block, 2, 104);
    ck_assert_ptr_eq(tagpool_realloc(block, 97), block);
    ck_assert(is_all(2, block, 97) && is_all(block[97], block + 97, behind(block)));
    ck_assert_uint_eq(stats().bytes, 112);
    unsigned char *moved = tagpool_realloc(block, 96);
    ck_assert_ptr_ne(moved, block);
    ck_assert(is_all(2, moved, 96));
    ck_assert_uint_eq(stats().bytes, 96);
    ck_assert_uint_eq(stats().allocs, 2);
    tagpool_free(moved);
}
END_TEST

static void write_behind_and_resize(void *unused)
{
    unsigned char *block = make(100);
    block[100] = 1;
    (void)unused;
    tagpool_realloc(block, 101);
}

static void resize_freed(void *unused)
{
    unsigned char *block = make(100);
    (void)unused;
    tagpool_free(block);
    tagpool_realloc(block, 101);
}

START_TEST(resizing_looks_at_the_block)
{
    begin("watch");
    must_stop(write_behind_and_resize, "SPECIAL_OVERRUN_FOUND");
    must_stop(resize_freed, "CALLER_FREED_TWICE");
}
END_TEST

/* --- all of them ---------------------------------------------------------------------------------------------- */

static void look_at_all(void *unused)
{
    (void)unused;
    tp_thread_self();
    tp_watch_check_all();
}

static void change_and_look(void *unused)
{
    (void)unused;
    tp_thread_self();
    *places[0] ^= 1;
    tp_watch_check_all();
}

/* places[0] is the byte in question. */
static void must_find(const char *rule)
{
    struct child_result clean = child_run(look_at_all, NULL);
    ck_assert_msg(child_succeeded(&clean), "%s", clean.text);
    must_stop(change_and_look, rule);
}

START_TEST(all_live_blocks_are_looked_at)
{
    static const size_t lengths[] = {0, 1, 100, 5000, 60000};
    begin("watch");
    for (int i = 0; i < 5; i++) {
        unsigned char *block = make(lengths[i]);
        places[0] = block + lengths[i];
        must_find("SPECIAL_OVERRUN_FOUND");
        places[0] = block + page_of(block)->block_size - 1;
        must_find("SPECIAL_OVERRUN_FOUND");
    }
    unsigned char *locked = tagpool_alloc(TAGPOOL_NONPAGED, 100, TAG);
    places[0] = locked + 100;
    must_find("SPECIAL_OVERRUN_FOUND");
}
END_TEST

START_TEST(so_are_those_in_quarantine)
{
    static const size_t lengths[] = {0, 1, 100, 5000, 60000};
    begin("watch");
    for (int i = 0; i < 5; i++) {
        unsigned char *block = make(lengths[i]);
        size_t filled = tp_min(page_of(block)->block_size, TP_KIB);
        tagpool_free(block);
        places[0] = block;
        must_find("FREED_POOL_MODIFIED");
        places[0] = block + filled - 1;
        must_find("FREED_POOL_MODIFIED");
    }
}
END_TEST

static bool stop_working;
static unsigned rounds_total;

/* Pages come and go: each round has sizes of its own. */
static void *work(void *argument)
{
    struct dice dice = {.state = (uintptr_t)argument * 77 + 1};
    unsigned char *mine[FEW];
    while (!__atomic_load_n(&stop_working, __ATOMIC_RELAXED)) {
        size_t most = 16 << dice_below(&dice, 12);
        for (int i = 0; i < FEW; i++) {
            mine[i] = tagpool_alloc(TAGPOOL_PAGED, dice_below(&dice, most), TAG);
            memset(mine[i], 0x11, tagpool_size(mine[i]));
        }
        for (int i = 0; i < FEW; i++) {
            mine[i] = tagpool_realloc(mine[i], tagpool_size(mine[i]) ^ dice_below(&dice, 16));
            memset(mine[i], 0x22, tagpool_size(mine[i]));
        }
        for (int i = 0; i < FEW; i++)
            tagpool_free(mine[i]);
        __atomic_fetch_add(&rounds_total, 1, __ATOMIC_RELAXED);
    }
    return NULL;
}

static void look_while_others_work(const char *words)
{
    pthread_t threads[2];
    begin(words);
    tagpool_free(make(1)); /* there is a pool to look at */
    for (uintptr_t i = 0; i < 2; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, work, (void *)(i + 1)), 0);
    for (int i = 0; i < 1000 || __atomic_load_n(&rounds_total, __ATOMIC_RELAXED) < 1000; i++)
        tp_watch_check_all();
    __atomic_store_n(&stop_working, true, __ATOMIC_RELAXED);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    ck_assert_uint_eq(stats().bytes, 0);
    tp_watch_check_all();
}

START_TEST(others_may_be_at_work)
{
    look_while_others_work("watch");
}
END_TEST

START_TEST(also_where_blocks_are_used_again_at_once)
{
    look_while_others_work("watch quarantine=1");
}
END_TEST

static void *free_some(void *argument)
{
    for (int i = 0; i < FEW; i++)
        tagpool_free(make(100));
    return argument;
}

START_TEST(what_a_thread_holds_ahead_comes_back)
{
    pthread_t thread;
    begin("watch");
    ck_assert_int_eq(pthread_create(&thread, NULL, free_some, NULL), 0);
    pthread_join(thread, NULL);
    make(1); /* the thread's record is done with */
    uint32_t slot = tp_tag_find(TAG, TP_LAYOUT_PAGED);
    ck_assert_uint_eq(tp_tags[slot].meter.bound, tp_gate_self->thread->slots[slot].drawn + 16);
}
END_TEST

/* --- blame ---------------------------------------------------------------------------------------------------- */

START_TEST(what_is_known_of_a_block)
{
    struct tp_blame blame;
    begin("watch");
    unsigned char *block = make(100);
    ck_assert(tp_blame_find(&blame, block + 105));
    ck_assert_ptr_eq(blame.block, block);
    ck_assert_uint_eq(blame.size, 100);
    ck_assert_uint_eq(tp_tags[blame.slot].tag, TAG);
    ck_assert_int_eq(blame.keeper, TAGPOOL_REPORT_WATCHED);
    ck_assert_int_eq(blame.state, TAGPOOL_REPORT_LIVE);
    ck_assert_int_eq(blame.face, TAGPOOL_REPORT_API);
    ck_assert_uint_eq(blame.alloc_thread, (uint32_t)getpid());
    ck_assert_uint_eq(blame.free_thread, 0);
    ck_assert(blame.readable_from <= (uintptr_t)block && (uintptr_t)block + 116 <= blame.readable_to);
    tagpool_free(block);
    ck_assert(tp_blame_find(&blame, block));
    ck_assert_int_eq(blame.state, TAGPOOL_REPORT_FREED);
    ck_assert_uint_eq(blame.size, 100);
    ck_assert_uint_eq(blame.free_thread, (uint32_t)getpid());
    ck_assert(!tp_blame_find(&blame, &block));
    ck_assert(!tp_blame_find(&blame, NULL));
}
END_TEST

/* --- limits, quota, fork -------------------------------------------------------------------------------------- */

START_TEST(a_tags_limit_holds)
{
    begin("watch quarantine=3");
    const tagpool_limit_t limit = {.hard = 64 * FEW};
    tagpool_limit_state_t state;
    ck_assert_int_eq(tagpool_limit_tag(TAGPOOL_PAGED, TAG, &limit), 0);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < FEW; i++)
            places[i] = make(50);
        ck_assert_ptr_null(tagpool_alloc(TAGPOOL_PAGED, 1, TAG));
        ck_assert_int_eq(errno, ENOMEM);
        tagpool_free(places[0]);
        ck_assert_ptr_null(tagpool_alloc(TAGPOOL_PAGED, 65, TAG));
        ck_assert_int_eq(tagpool_limit_tag_state(TAGPOOL_PAGED, TAG, &state), 0);
        ck_assert_uint_eq(state.refused, 2 * (round + 1));
        places[0] = make(64);
        for (int i = 0; i < FEW; i++)
            tagpool_free(places[i]);
    }
}
END_TEST

static uint64_t held(const tagpool_quota_t *quota)
{
    tagpool_quota_stats_t now;
    ck_assert_int_eq(tagpool_quota_stats(quota, TAGPOOL_PAGED, &now), 0);
    return now.held;
}

START_TEST(quota_accounts_are_charged_and_get_it_back)
{
    begin("watch");
    const tagpool_quota_limits_t limits = {.paged = 1000};
    tagpool_quota_t *quota = tagpool_quota_create(NULL, "watched", &limits);
    ck_assert_int_eq(tagpool_quota_attach(quota), 0);
    unsigned char *block = tagpool_alloc_flags(TAGPOOL_PAGED, 100, TAG, TAGPOOL_CHARGE);
    ck_assert(page_of(block)->watched);
    ck_assert_uint_eq(held(quota), 112);
    ck_assert_ptr_null(tagpool_alloc_flags(TAGPOOL_PAGED, 900, TAG, TAGPOOL_CHARGE));
    ck_assert_int_eq(errno, EDQUOT);
    block = tagpool_realloc(block, 105);
    ck_assert_uint_eq(held(quota), 112);
    block = tagpool_realloc(block, 900);
    ck_assert_uint_eq(held(quota), 912);
    tagpool_free(block);
    ck_assert_uint_eq(held(quota), 0);
    tagpool_quota_destroy(quota);
}
END_TEST

static void child_frees_all(void *unused)
{
    (void)unused;
    fault_must(tagpool_size(places[0]) == 100);
    fault_must(stats().allocs == FEW && stats().frees == 0 && stats().bytes == 112 * FEW);
    tp_watch_check_all();
    for (int i = 0; i < FEW; i++) {
        fault_must(is_all((unsigned char)i, places[i], 100));
        tagpool_free(places[i]);
    }
    for (int i = 0; i < 2 * PLACES; i++)
        tagpool_free(make(100));
    tp_watch_check_all();
    fault_must_be_empty(TAGPOOL_PAGED, TAG);
}

START_TEST(a_child_has_the_blocks_too)
{
    begin("watch");
    for (int i = 0; i < FEW; i++) {
        tagpool_free(make(100));
        places[i] = make(100);
        memset(places[i], i, 100);
    }
    for (int children = 0; children < 2; children++) {
        struct child_result result = child_run(child_frees_all, NULL);
        ck_assert_msg(child_succeeded(&result), "%s", result.text);
    }
    for (int i = 0; i < FEW; i++) {
        ck_assert(is_all((unsigned char)i, places[i], 100));
        tagpool_free(places[i]);
    }
    ck_assert_uint_eq(stats().bytes, 0);
}
END_TEST

/* --- refusals of the system ----------------------------------------------------------------------------------- */

/* Whatever fails, there is a block, watched or not, with the contents it should have. */
static void with_failures(void)
{
    static const size_t lengths[] = {100, 0, 5000, 60000, 16};
    unsigned char *blocks[5];
    for (int i = 0; i < 5; i++) {
        blocks[i] = tagpool_zalloc(TAGPOOL_PAGED, lengths[i], TAG);
        if (blocks[i] == NULL)
            continue;
        fault_must(is_all(0, blocks[i], lengths[i]));
        memset(blocks[i], i, lengths[i]);
        unsigned char *longer = tagpool_realloc(blocks[i], lengths[i] + 1000);
        blocks[i] = longer != NULL ? longer : blocks[i];
        fault_must(is_all((unsigned char)i, blocks[i], lengths[i]));
    }
    for (int i = 0; i < 5; i++)
        tagpool_free(blocks[i]);
    tp_watch_check_all();
    fault_must_be_empty(TAGPOOL_PAGED, TAG);
    unsigned char *block = tagpool_alloc(TAGPOOL_PAGED, 100, TAG);
    fault_must(block != NULL);
    tagpool_free(block);
}

START_TEST(whatever_fails_nothing_is_lost)
{
    setenv("TAGPOOL_VERIFY", "track tags=Wtch", 1);
    ck_assert_uint_gt(fault_each(with_failures), 10);
}
END_TEST

UNIT_MAIN("watch", one_pattern_stands_behind_a_block, neighbours_have_different_ones, freed_blocks_are_filled,
          blocks_used_before_are_zero_again, alignments_are_kept, what_is_too_large_is_ordinary,
          a_block_waits_for_its_turn, quarantine_is_bounded_by_bytes, it_is_never_longer_than_there_is_room,
          scarce_memory_is_not_kept_from_use, a_freed_block_counts_as_freed, another_thread_keeps_what_it_freed,
          a_block_stays_where_nothing_of_it_changes, resizing_looks_at_the_block, all_live_blocks_are_looked_at,
          so_are_those_in_quarantine, others_may_be_at_work, also_where_blocks_are_used_again_at_once,
          what_a_thread_holds_ahead_comes_back,
          what_is_known_of_a_block, a_tags_limit_holds, quota_accounts_are_charged_and_get_it_back,
          a_child_has_the_blocks_too, whatever_fails_nothing_is_lost)
