/*
 * V1, V2, Y1, Y2 and what callers see: lengths to the byte, what is noticed where, what a freed block looks like and
 * how long it is kept from use, and that counts, threads, children and quotas know nothing of that.
 */
#include "unit.h"

#include "child.h"
#include "dice.h"

#include "blame.h"
#include "block.h"
#include "harden.h"
#include "span.h"
#include "start.h"

#include <tagpool.h>
#include <tagpool/quota.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define TAG TAGPOOL_TAG('H', 'a', 'r', 'd')
enum { FEW = 100, MANY = 3000, LARGE = 300000, HUGE = 3000000 };

/* Of all ways: a class of its own, between two, short and long, of its own span and with its memory given back. */
static const size_t lengths[] = {1, 8, 9, 24, 40, 97, 120, 121, 500, 5000, 100000, 131064, 131065, LARGE, HUGE};
enum { LENGTHS = sizeof(lengths) / sizeof(lengths[0]) };

static unsigned char *places[MANY];

/* --- helpers -------------------------------------------------------------------------------------------------- */

static void begin(void)
{
    setenv("TAGPOOL_VERIFY", "harden", 1);
    tp_start();
    ck_assert(tp_seal_is_on());
}

static unsigned char *make(size_t size)
{
    unsigned char *block = tagpool_alloc(TAGPOOL_PAGED, size, TAG);
    ck_assert_ptr_nonnull(block);
    ck_assert_uint_eq(tagpool_size(block), size);
    return block;
}

static void make_all(unsigned char **blocks, int count, size_t size)
{
    for (int i = 0; i < count; i++)
        memset(blocks[i] = make(size), 'a', size);
}

static void free_all(unsigned char **blocks, int count)
{
    for (int i = 0; i < count; i++)
        tagpool_free(blocks[i]);
}

/* So many that the class has pages of its own from then on. */
static void warm(size_t size)
{
    make_all(places, MANY, size);
    free_all(places, MANY);
    tp_harden_flush(tp_thread_self());
}

/* Bytes that the block counts for. */
static size_t block_bytes(const void *block)
{
    struct tp_block_info info = tp_block_look_up(block);
    return tp_block_bytes(&info);
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

static void must_stop(void (*work)(void *), void *argument, const char *rule)
{
    struct child_result result = child_run(work, argument);
    ck_assert_msg(child_stopped(&result, rule), "%s: %s", rule, result.text);
}

static void must_go_well(void (*work)(void *), void *argument)
{
    struct child_result result = child_run(work, argument);
    ck_assert_msg(child_succeeded(&result), "status 0x%x: %s", (unsigned)result.status, result.text);
}

/* --- live blocks ---------------------------------------------------------------------------------------------- */

START_TEST(blocks_are_as_long_as_was_asked_for)
{
    begin();
    for (size_t size = 1; size < 200000; size += size < 600 ? 1 : 997) {
        unsigned char *block = make(size);
        ck_assert_uint_eq((uintptr_t)block % 16, 0);
        ck_assert_uint_ge(block_bytes(block), size + (size <= TP_CLASS_MAX_SIZE ? TP_SEAL_BYTES : 0));
        memset(block, 'a', size);
        tagpool_free(block);
    }
}
END_TEST

START_TEST(zero_bytes_are_guards_all_over)
{
    begin();
    unsigned char *block = make(0);
    ck_assert_ptr_null(tp_block_look_up(block).page);
    tagpool_free(block);
}
END_TEST

START_TEST(zeroed_blocks_are_zero)
{
    begin();
    for (int round = 0; round < 3; round++)
        for (int i = 0; i < LENGTHS; i++) {
            unsigned char *block = tagpool_zalloc(TAGPOOL_PAGED, lengths[i], TAG);
            ck_assert(is_all(0, block, lengths[i]));
            memset(block, 'a', lengths[i]);
            tagpool_free(block);
        }
}
END_TEST

START_TEST(a_resize_keeps_to_the_byte)
{
    begin();
    unsigned char *block = make(1);
    size_t before = 1;
    struct dice dice = {12345};
    *block = 'a';
    for (int i = 0; i < MANY; i++) {
        size_t size = dice_below(&dice, i % 50 == 0 ? 1000000 : 3000) + 1;
        block = tagpool_realloc(block, size);
        ck_assert_uint_eq(tagpool_size(block), size);
        ck_assert(is_all('a', block, before < size ? before : size));
        memset(block, 'a', size);
        before = size;
    }
    tagpool_free(block);
    ck_assert_uint_eq(stats().bytes, 0);
}
END_TEST

/* --- what is noticed ------------------------------------------------------------------------------------------ */

/* A byte at an offset of a block of a size, and how it is changed. */
struct change {
    size_t size, offset;
    unsigned char by;
    bool is_resized; /* noticed by another call than free */
};

static void change_and_free(void *argument)
{
    const struct change *change = argument;
    unsigned char *block = make(change->size);
    block[change->offset] = (unsigned char)(block[change->offset] ^ change->by);
    if (change->is_resized)
        block = tagpool_realloc(block, change->size + 1);
    tagpool_free(block);
}

START_TEST(a_byte_behind_is_noticed)
{
    begin();
    for (int i = 0; i < LENGTHS; i++) {
        unsigned char *block = make(lengths[i]);
        size_t size = lengths[i], bytes = block_bytes(block), pattern = tp_min(bytes - size, TP_SEAL_PATTERN);
        bool has_seal = tp_block_look_up(block).page->state == TP_UNIT_BLOCKS;
        const size_t offsets[] = {size, size + pattern - 1, bytes - 8, bytes - 1};
        tagpool_free(block);
        for (int n = 0; n < (has_seal ? 4 : 2); n++) {
            must_stop(change_and_free, &(struct change){size, offsets[n], 1, false}, "SPECIAL_OVERRUN_FOUND");
            must_stop(change_and_free, &(struct change){size, offsets[n], 0x80, true}, "SPECIAL_OVERRUN_FOUND");
        }
    }
}
END_TEST

START_TEST(each_bit_of_a_seal_counts)
{
    begin();
    for (size_t bit = 0; bit < 64; bit += 3) {
        struct change change = {100, 104 + bit / 8, (unsigned char)(1u << bit % 8), false};
        must_stop(change_and_free, &change, "SPECIAL_OVERRUN_FOUND");
    }
}
END_TEST

static void copy_neighbour(void *argument)
{
    unsigned char *first = make(100), *second = make(100);
    memcpy(second + 100, first + 100, block_bytes(first) - 100);
    tagpool_free(second);
}

START_TEST(a_neighbours_seal_does_not_fit)
{
    begin();
    must_stop(copy_neighbour, NULL, "SPECIAL_OVERRUN_FOUND");
}
END_TEST

static void write_after_free(void *argument)
{
    const struct change *change = argument;
    warm(change->size);
    make_all(places, FEW, change->size);
    for (int i = 0; i < FEW; i += 2)
        tagpool_free(places[i]);
    tp_harden_flush(tp_thread_self());
    unsigned char *block = places[FEW / 2];
    block[change->offset] = (unsigned char)(block[change->offset] ^ change->by);
    make_all(places, MANY, change->size);
}

START_TEST(a_freed_blocks_byte_is_noticed)
{
    begin();
    for (size_t i = 0; lengths[i] <= 5000; i++) {
        size_t size = lengths[i];
        const size_t offsets[] = {0, 7, 8, 15, tp_min(size, TP_SEAL_LOOKED) - 1};
        for (int n = 0; n < 5; n++)
            must_stop(write_after_free, &(struct change){size, offsets[n], 1, false}, "FREED_POOL_MODIFIED");
    }
}
END_TEST

static void free_twice(void *argument)
{
    unsigned char *block = make(*(size_t *)argument);
    tagpool_free(block);
    tagpool_free(block);
}

static void free_twice_at_home(void *argument)
{
    make_all(places, FEW, *(size_t *)argument);
    for (int i = 0; i < FEW; i += 2)
        tagpool_free(places[i]);
    tp_harden_flush(tp_thread_self());
    tagpool_free(places[FEW / 2]);
}

START_TEST(a_second_free_is_noticed)
{
    begin();
    for (int is_warm = 0; is_warm < 2; is_warm++)
        for (size_t i = 0; lengths[i] <= 5000; i++) {
            size_t size = lengths[i];
            must_stop(free_twice, &size, "CALLER_FREED_TWICE");
            must_stop(free_twice_at_home, &size, "CALLER_FREED_TWICE");
            warm(size);
        }
}
END_TEST

START_TEST(freed_blocks_are_not_found)
{
    struct tp_block_info info;
    begin();
    for (int is_warm = 0; is_warm < 2; is_warm++)
        for (int i = 0; i < LENGTHS; i++) {
            unsigned char *block = make(lengths[i]);
            ck_assert(tp_block_find(block, &info));
            ck_assert_uint_eq(info.size, lengths[i]);
            ck_assert(!tp_block_find(block + 16, &info));
            tagpool_free(block);
            ck_assert(!tp_block_find(block, &info));
            if (lengths[i] <= 500)
                warm(lengths[i]);
        }
}
END_TEST

START_TEST(reports_know_sizes_and_states)
{
    struct tp_blame blame;
    begin();
    warm(100);
    unsigned char *block = make(100);
    ck_assert(tp_blame_find(&blame, block + 50));
    ck_assert_ptr_eq(blame.block, (char *)block);
    ck_assert_uint_eq(blame.size, 100);
    ck_assert_int_eq(blame.state, TAGPOOL_REPORT_LIVE);
    ck_assert_uint_eq(blame.face, TAGPOOL_REPORT_API);
    tagpool_free(block);
    ck_assert(tp_blame_find(&blame, block + 50));
    ck_assert_int_eq(blame.state, TAGPOOL_REPORT_FREED);
}
END_TEST

/* --- freed blocks --------------------------------------------------------------------------------------------- */

START_TEST(freed_blocks_read_as_zero)
{
    begin();
    for (int is_warm = 0; is_warm < 2; is_warm++)
        for (int i = 0; i < LENGTHS; i++) {
            unsigned char *block = make(lengths[i]);
            size_t bytes = block_bytes(block);
            memset(block, 'a', lengths[i]);
            tagpool_free(block);
            ck_assert(is_all(0, block, bytes));
            if (lengths[i] <= 500)
                warm(lengths[i]);
        }
}
END_TEST

START_TEST(a_freed_block_is_not_the_next)
{
    begin();
    for (int i = 0; i < LENGTHS; i++)
        for (int round = 0; round < FEW; round++) {
            unsigned char *first = make(lengths[i]);
            tagpool_free(first);
            unsigned char *second = make(lengths[i]);
            ck_assert_ptr_ne(first, second);
            tagpool_free(second);
        }
}
END_TEST

/* How many places of a sequence are as they were the last time. */
static int count_same(size_t size)
{
    static unsigned char *before[FEW];
    int same = 0;
    memcpy(before, places, sizeof(before));
    make_all(places, FEW, size);
    for (int i = 0; i < FEW; i++)
        same += before[i] == places[i];
    free_all(places, FEW);
    return same;
}

START_TEST(nobody_can_tell_the_order)
{
    begin();
    warm(100);
    for (int i = 0; i < 200; i++)
        count_same(100);
    int same = 0;
    for (int i = 0; i < 20; i++)
        same += count_same(100);
    ck_assert_int_lt(same, 20 * FEW / 4);
}
END_TEST

START_TEST(what_is_kept_counts_as_freed)
{
    begin();
    for (int i = 0; i < LENGTHS; i++) {
        tagpool_free(make(lengths[i]));
        ck_assert_uint_eq(stats().bytes, 0);
        ck_assert_uint_eq(stats().allocs, stats().frees);
    }
}
END_TEST

/* --- large blocks --------------------------------------------------------------------------------------------- */

START_TEST(spans_are_kept_for_a_while)
{
    begin();
    size_t before = tp_span_used_bytes();
    for (int i = 0; i < FEW; i++)
        tagpool_free(make(LARGE));
    ck_assert_uint_gt(tp_span_used_bytes(), before + LARGE);
    ck_assert_uint_le(tp_span_used_bytes(), before + TP_HARDEN_SPANS * tp_round_up(LARGE, TP_UNIT) + TP_UNIT);
    tp_harden_flush(tp_thread_self());
    ck_assert_uint_le(tp_span_used_bytes(), before + TP_UNIT);
}
END_TEST

static void write_to_freed_span(void *argument)
{
    unsigned char *block = make(*(size_t *)argument);
    tagpool_free(block);
    block[5] = 1;
    tp_harden_flush(tp_thread_self());
}

START_TEST(a_freed_spans_beginning_is_looked_at)
{
    begin();
    must_stop(write_to_freed_span, &(size_t){LARGE}, "FREED_POOL_MODIFIED");
    must_stop(write_to_freed_span, &(size_t){HUGE}, "FREED_POOL_MODIFIED");
}
END_TEST

/* --- scarce things -------------------------------------------------------------------------------------------- */

/* As many as there are. */
static int exhaust(size_t size)
{
    int count = 0;
    while ((places[count] = tagpool_alloc(TAGPOOL_NONPAGED, size, TAG)) != NULL)
        ck_assert_int_lt(++count, MANY);
    return count;
}

START_TEST(scarce_memory_is_not_kept)
{
    static const size_t some[] = {1000, 4000, 5000, 20000, 140000};
    begin();
    const struct rlimit limit = {TP_MIB, TP_MIB};
    ck_assert_int_eq(setrlimit(RLIMIT_MEMLOCK, &limit), 0);
    for (int i = 0; i < 5; i++) {
        int count = exhaust(some[i]);
        ck_assert_int_gt(count, 1);
        free_all(places, count);
        int again = exhaust(some[i]);
        ck_assert_msg(again >= count, "%zu bytes: %d, then %d", some[i], count, again);
        free_all(places, again);
    }
}
END_TEST

START_TEST(a_charge_goes_back_at_once)
{
    tagpool_quota_stats_t charged;
    begin();
    tagpool_quota_t *quota = tagpool_quota_create(NULL, "kept", NULL);
    ck_assert_int_eq(tagpool_quota_attach(quota), 0);
    for (int i = 0; i < LENGTHS; i++) {
        unsigned char *block = tagpool_alloc_flags(TAGPOOL_PAGED, lengths[i], TAG, TAGPOOL_CHARGE);
        ck_assert_int_eq(tagpool_quota_stats(quota, TAGPOOL_PAGED, &charged), 0);
        ck_assert_uint_eq(charged.held, block_bytes(block));
        tagpool_free(block);
        ck_assert_int_eq(tagpool_quota_stats(quota, TAGPOOL_PAGED, &charged), 0);
        ck_assert_uint_eq(charged.held, 0);
    }
    tagpool_quota_destroy(quota);
}
END_TEST

/* --- threads -------------------------------------------------------------------------------------------------- */

static void *free_places(void *argument)
{
    free_all(places, MANY);
    return argument;
}

static void run_thread(void *(*work)(void *))
{
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, work, NULL), 0);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
}

/* Y2 */
START_TEST(others_blocks_go_home)
{
    begin();
    for (int round = 0; round < 3; round++)
        for (int i = 0; lengths[i] <= 500; i++) {
            make_all(places, MANY, lengths[i]);
            run_thread(free_places);
            ck_assert_uint_eq(stats().bytes, 0);
            ck_assert_uint_eq(stats().allocs, stats().frees);
        }
    tp_harden_flush(tp_thread_self());
    tp_heap_trim(tp_thread_self());
    ck_assert_uint_le(tp_span_used_bytes(), 64 * TP_UNIT);
}
END_TEST

static void *make_and_free(void *argument)
{
    for (int i = 0; i < LENGTHS; i++)
        tagpool_free(make(lengths[i]));
    make_all(places, FEW, 100);
    free_all(places, FEW);
    return argument;
}

START_TEST(a_thread_leaves_nothing_behind)
{
    begin();
    run_thread(make_and_free);
    size_t used = tp_span_used_bytes();
    for (int i = 0; i < FEW; i++)
        run_thread(make_and_free);
    ck_assert_uint_le(tp_span_used_bytes(), used);
    ck_assert_uint_eq(stats().bytes, 0);
}
END_TEST

/* --- children ------------------------------------------------------------------------------------------------- */

/* Frees every other inherited block, twenty of which lie in the parent's ring besides. */
static void work_in_child(void *argument)
{
    uint64_t live = stats().allocs - stats().frees;
    if (live != MANY - 20)
        _exit(20);
    for (int i = 20; i < MANY; i += 2)
        tagpool_free(places[i]);
    for (int i = 0; i < LENGTHS; i++)
        tagpool_free(make(lengths[i]));
    if (stats().allocs - stats().frees != live / 2)
        _exit(21);
}

START_TEST(a_child_goes_on)
{
    begin();
    make_all(places, MANY, 100);
    free_all(places, 20);
    must_go_well(work_in_child, NULL);
    free_all(places + 20, MANY - 20);
    ck_assert_uint_eq(stats().bytes, 0);
}
END_TEST

START_TEST(so_does_one_that_nobody_was_told_of)
{
    begin();
    make_all(places, MANY, 100);
    free_all(places, 20);
    pid_t pid = _Fork();
    if (pid == 0) {
        work_in_child(NULL);
        _exit(0);
    }
    int status;
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(status, 0);
}
END_TEST

UNIT_MAIN("harden", blocks_are_as_long_as_was_asked_for, zero_bytes_are_guards_all_over, zeroed_blocks_are_zero,
          a_resize_keeps_to_the_byte, a_byte_behind_is_noticed, each_bit_of_a_seal_counts,
          a_neighbours_seal_does_not_fit, a_freed_blocks_byte_is_noticed, a_second_free_is_noticed,
          freed_blocks_are_not_found, reports_know_sizes_and_states, freed_blocks_read_as_zero,
          a_freed_block_is_not_the_next, nobody_can_tell_the_order, what_is_kept_counts_as_freed,
          spans_are_kept_for_a_while, a_freed_spans_beginning_is_looked_at, scarce_memory_is_not_kept,
          a_charge_goes_back_at_once, others_blocks_go_home, a_thread_leaves_nothing_behind, a_child_goes_on,
          so_does_one_that_nobody_was_told_of)
