/*
 * Ranges that functions of the C library are handed: what is inside a checked block passes, what is not is a stop for
 * the right rule, and what is nobody's is none of our business.
 */
#include "unit.h"

#include "child.h"

#include "range.h"
#include "special.h"
#include "start.h"

#include <tagpool.h>

#include <pthread.h>
#include <stdlib.h>

#define TAG TAGPOOL_TAG('R', 'a', 'n', 'g')
enum { SIZE = 100, ROUNDS = 200000 };

static char *block;

/* A range from a place of the block on. */
static struct {
    long from;
    size_t size;
    bool by_call;
} range;

static void begin(const char *words)
{
    setenv("TAGPOOL_VERIFY", words, 1);
    tp_start();
    block = tagpool_alloc(TAGPOOL_PAGED, SIZE, TAG);
    ck_assert_ptr_nonnull(block);
}

static void check_range(void *unused)
{
    (void)unused;
    (range.by_call ? tp_range_check_call : tp_range_check)(block + range.from, range.size, TAGPOOL_REPORT_WRITE);
}

static void must_pass(long from, size_t size)
{
    range.from = from;
    range.size = size;
    for (int call = 0; call < 2; call++) {
        range.by_call = call != 0;
        check_range(NULL);
    }
}

static void must_stop(long from, size_t size, const char *rule, const char *call_rule)
{
    range.from = from;
    range.size = size;
    for (int call = 0; call < 2; call++) {
        range.by_call = call != 0;
        struct child_result result = child_run(check_range, NULL);
        ck_assert_msg(child_stopped(&result, call != 0 ? call_rule : rule), "%ld, %zu: %s", from, size, result.text);
    }
}

static void check_places(void)
{
    must_pass(0, SIZE);
    must_pass(SIZE - 1, 1);
    must_pass(SIZE, 0);
    must_stop(0, SIZE + 1, "BEYOND_END_TOUCHED", "BUFFER_TOO_LONG");
    must_stop(50, SIZE_MAX, "BEYOND_END_TOUCHED", "BUFFER_TOO_LONG");
    must_stop(SIZE - 1, 2, "BEYOND_END_TOUCHED", "BUFFER_TOO_LONG");
    must_stop(SIZE, 1, "BEYOND_END_TOUCHED", "BEYOND_END_TOUCHED");
    tagpool_free(block);
    must_stop(0, 1, "FREED_POOL_TOUCHED", "FREED_POOL_TOUCHED");
    must_pass(0, 0);
}

START_TEST(blocks_of_special_pool)
{
    begin("special=all");
    must_stop(-1, 1, "BEYOND_END_TOUCHED", "BEYOND_END_TOUCHED");
    check_places();
}
END_TEST

START_TEST(watched_blocks)
{
    begin("watch");
    check_places();
}
END_TEST

START_TEST(others_are_none_of_our_business)
{
    char own[SIZE];
    begin("special=all tags=Some");
    must_pass(0, 10 * SIZE);
    tagpool_free(block);
    must_pass(0, SIZE);
    tp_range_check(NULL, SIZE, TAGPOOL_REPORT_READ);
    tp_range_check(own, 10 * SIZE, TAGPOOL_REPORT_READ);
    tp_range_check_call(own, SIZE_MAX, TAGPOOL_REPORT_READ);
}
END_TEST

static void *check_again_and_again(void *done)
{
    while (!__atomic_load_n((bool *)done, __ATOMIC_RELAXED))
        check_range(NULL);
    return NULL;
}

/* A block that is held for a moment (B2) lives. */
START_TEST(blocks_may_be_looked_at_meanwhile)
{
    pthread_t thread;
    bool done = false;
    begin("special=all");
    range.size = SIZE;
    ck_assert_int_eq(pthread_create(&thread, NULL, check_again_and_again, &done), 0);
    for (int i = 0; i < ROUNDS; i++)
        tp_special_check_all();
    __atomic_store_n(&done, true, __ATOMIC_RELAXED);
    pthread_join(thread, NULL);
}
END_TEST

UNIT_MAIN("range", blocks_of_special_pool, watched_blocks, others_are_none_of_our_business,
          blocks_may_be_looked_at_meanwhile)
