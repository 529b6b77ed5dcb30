/*
 * Samples: one request in so many goes to special pool, whichever way it comes.
 */
#include "unit.h"

#include "alloc.h"
#include "figures.h"
#include "free.h"
#include "sample.h"
#include "shortcut.h"
#include "special.h"
#include "start.h"

#include <stdlib.h>

enum { REQUESTS = 400000 };

static struct tp_gate *begin(const char *words)
{
    setenv("TAGPOOL_VERIFY", words, 1);
    tp_start();
    tp_thread_self();
    return tp_gate_self;
}

static unsigned turns(struct tp_gate *gate, uint32_t one_in)
{
    unsigned count = 0;
    for (int i = 0; i < REQUESTS; i++)
        count += tp_sample_is_turn(gate, one_in);
    return count;
}

#define expect_about(count, expected)                                                                                  \
    do {                                                                                                               \
        ck_assert_uint_gt((count), (expected) - (expected) / 20);                                                      \
        ck_assert_uint_lt((count), (expected) + (expected) / 20);                                                      \
    } while (0)

START_TEST(turns_are_one_in_so_many)
{
    struct tp_gate *gate = begin("special=sample:10");
    ck_assert_uint_eq(turns(gate, 1), REQUESTS);
    expect_about(turns(gate, 2), REQUESTS / 2);
    expect_about(turns(gate, 10), REQUESTS / 10);
    expect_about(turns(gate, 100), REQUESTS / 100);
    ck_assert_uint_lt(turns(gate, UINT32_MAX), 2);
}
END_TEST

START_TEST(without_a_thread_they_are_too)
{
    begin("special=sample:10");
    expect_about(turns(&tp_gate_nobody, 10), REQUESTS / 10);
}
END_TEST

/* A program's own rhythm: of the requests that it makes again and again each has its turn. */
START_TEST(nothing_keeps_step_with_them)
{
    enum { RHYTHM = 10 };
    unsigned count[RHYTHM] = {0};
    struct tp_gate *gate = begin("special=sample:10");
    for (int i = 0; i < REQUESTS; i++)
        count[i % RHYTHM] += tp_sample_is_turn(gate, RHYTHM);
    for (int i = 0; i < RHYTHM; i++)
        expect_about(count[i], REQUESTS / RHYTHM / RHYTHM);
}
END_TEST

/* --- by the short way ------------------------------------------------------------------------------------------- */

static const struct tp_call call = {.pc = 0x123456};

static uint64_t key(void)
{
    return tp_site_key(TP_KEY_CALL, tp_site_call_value(call.pc));
}

static unsigned samples(unsigned *shortcuts)
{
    unsigned count = 0;
    for (int i = 0; i < REQUESTS; i++) {
        void *block = tp_shortcut_alloc(key(), 100, TAGPOOL_REPORT_MALLOC, call);
        *shortcuts += block != NULL;
        if (block == NULL) {
            const struct tp_alloc_request request = {.slot = tp_site_slot_of_call(tp_gate_self->thread, &call),
                                                     .size = 100,
                                                     .alignment = 16,
                                                     .call = call,
                                                     .face = TAGPOOL_REPORT_MALLOC};
            block = tp_alloc_requested(tp_gate_self->thread, &request);
        }
        count += tp_special_owns(block);
        tp_free_called(block, TAGPOOL_REPORT_MALLOC, TP_SIZE_UNTOLD, call);
    }
    return count;
}

static void expect_samples(const char *words)
{
    unsigned shortcuts = 0;
    struct tagpool_report_counters now;
    begin(words);
    unsigned count = samples(&shortcuts);
    expect_about(count, REQUESTS / 100);
    ck_assert_uint_gt(shortcuts, REQUESTS - REQUESTS / 20);
    tp_figures_read(&now);
    ck_assert_uint_eq(now.allocs_succeeded, REQUESTS);
    ck_assert_uint_eq(now.allocs_special, count);
}

START_TEST(most_requests_take_the_short_way)
{
    expect_samples("special=sample:100");
}
END_TEST

START_TEST(tracked_ones_too)
{
    expect_samples("special=sample:100 track");
}
END_TEST

START_TEST(and_watched_ones)
{
    expect_samples("special=sample:100 watch ends=mixed");
}
END_TEST

UNIT_MAIN("sample", turns_are_one_in_so_many, without_a_thread_they_are_too, nothing_keeps_step_with_them,
          most_requests_take_the_short_way, tracked_ones_too, and_watched_ones)
