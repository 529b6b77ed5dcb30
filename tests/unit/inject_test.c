/*
 * Faults on purpose: which requests a rule makes fail, and that it is the same ones in every run.
 */
#include "unit.h"

#include "inject.h"
#include "os.h"
#include "start.h"

#include <dlfcn.h>
#include <link.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { REQUESTS = 10000, THREADS = 4 };

static struct tp_inject inject;
static struct tagpool_segment_rule rule;
static const struct tp_call nowhere;

static void begin(struct tagpool_segment_rule given)
{
    rule = given;
    rule.flags = TAGPOOL_SEGMENT_RULE_FAIL;
    tp_inject_begin(&inject);
}

static bool decide(const struct tp_call *call)
{
    return tp_inject_decide(&inject, &rule, call);
}

static unsigned failures(unsigned requests)
{
    unsigned count = 0;
    for (unsigned i = 0; i < requests; i++)
        count += decide(&nowhere);
    return count;
}

/* --- which ---------------------------------------------------------------------------------------------------- */

START_TEST(the_nth_fails_and_no_other)
{
    begin((struct tagpool_segment_rule){.fail_nth = 5, .fail_chances = 10000});
    for (int i = 1; i <= 100; i++)
        ck_assert_int_eq(decide(&nowhere), i == 5);
    begin((struct tagpool_segment_rule){.fail_nth = 1});
    ck_assert(decide(&nowhere));
    ck_assert(!decide(&nowhere));
}
END_TEST

static void *count_failures(void *count)
{
    *(unsigned *)count = failures(REQUESTS);
    return NULL;
}

START_TEST(of_all_threads_one_has_the_nth)
{
    pthread_t threads[THREADS];
    unsigned counts[THREADS], sum = 0;
    begin((struct tagpool_segment_rule){.fail_nth = REQUESTS});
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, count_failures, &counts[i]), 0);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        sum += counts[i];
    }
    ck_assert_uint_eq(sum, 1);
    ck_assert_uint_eq(inject.requests_total, THREADS * REQUESTS);
}
END_TEST

START_TEST(chances_are_out_of_ten_thousand)
{
    static const unsigned chances[] = {0, 1, 100, 5000, 9999, 10000};
    for (int i = 0; i < 6; i++) {
        begin((struct tagpool_segment_rule){.fail_chances = chances[i]});
        unsigned count = failures(100 * REQUESTS), expected = chances[i] * 100;
        ck_assert_uint_ge(count + expected / 10 + (expected > 0 ? 50 : 0), expected);
        ck_assert_uint_le(count, expected + expected / 10 + (expected > 0 && expected < 1000000 ? 50 : 0));
    }
}
END_TEST

/* Numbers of a first run: all others must have them. */
START_TEST(it_is_the_same_ones_in_every_run)
{
    static const unsigned first[] = {13, 53, 99, 122, 327, 446};
    unsigned seen = 0;
    begin((struct tagpool_segment_rule){.fail_chances = 100});
    for (unsigned i = 0; seen < sizeof(first) / sizeof(first[0]); i++)
        if (decide(&nowhere))
            ck_assert_uint_eq(i, first[seen++]);
}
END_TEST

/* --- when ----------------------------------------------------------------------------------------------------- */

START_TEST(nothing_fails_before_its_time)
{
    begin((struct tagpool_segment_rule){.fail_nth = 2, .fail_after_ms = 10000});
    ck_assert_uint_eq(failures(100), 0);
    ck_assert_uint_eq(inject.requests_total, 0);
    inject.since_ms -= 10000;
    ck_assert(!decide(&nowhere));
    ck_assert(decide(&nowhere));
    begin((struct tagpool_segment_rule){.fail_chances = 10000, .fail_after_ms = 20});
    ck_assert(!decide(&nowhere));
    tp_os_sleep_ms(25);
    ck_assert(decide(&nowhere));
}
END_TEST

/* --- where ---------------------------------------------------------------------------------------------------- */

static bool fails_at(const char *site, uintptr_t pc)
{
    const struct tp_call call = {.pc = pc};
    struct tagpool_segment_rule given = {.fail_chances = 10000};
    snprintf(given.site, sizeof(given.site), "%s", site);
    begin(given);
    return decide(&call);
}

/* "library+0xoffset" of a return address. */
static const char *site_of(uintptr_t pc)
{
    static char text[128];
    struct dl_find_object object;
    ck_assert_int_eq(_dl_find_object((void *)(pc - 1), &object), 0);
    snprintf(text, sizeof(text), "%s+0x%lX", tp_site_library_name(&object), pc - object.dlfo_link_map->l_addr);
    return text;
}

START_TEST(a_site_is_a_library_or_a_place_in_it)
{
    uintptr_t here = (uintptr_t)site_of + 1, there = (uintptr_t)dlsym(RTLD_DEFAULT, "gnu_get_libc_version") + 1;
    ck_assert(fails_at("inject_test", here));
    ck_assert(fails_at("inject*", here));
    ck_assert(!fails_at("inject_test", there));
    ck_assert(fails_at("libc.so.6", there));
    ck_assert(!fails_at("libc.so.6", here));
    ck_assert(fails_at(site_of(here), here));
    ck_assert(!fails_at(site_of(here), here + 1));
    ck_assert(!fails_at(site_of(here), there));
    ck_assert(fails_at("", here));
}
END_TEST

START_TEST(a_call_from_nowhere_has_no_site)
{
    ck_assert(!fails_at("*", 0));
    ck_assert(!fails_at("*", 0x10));
    ck_assert(fails_at("", 0));
}
END_TEST

/* Requests of other sites are not counted. */
START_TEST(the_nth_is_of_its_site)
{
    const struct tp_call here = {.pc = (uintptr_t)site_of + 1};
    begin((struct tagpool_segment_rule){.fail_nth = 2, .site = "inject_test"});
    ck_assert(!decide(&nowhere) && !decide(&here) && !decide(&nowhere) && decide(&here) && !decide(&here));
}
END_TEST

/* --- coins ---------------------------------------------------------------------------------------------------- */

START_TEST(coins_have_all_their_sides)
{
    unsigned counts[7] = {0};
    for (int i = 0; i < 7 * REQUESTS; i++)
        counts[tp_inject_coin(7)]++;
    for (int side = 0; side < 7; side++) {
        ck_assert_uint_gt(counts[side], REQUESTS - 500);
        ck_assert_uint_lt(counts[side], REQUESTS + 500);
    }
    for (int i = 0; i < 100; i++)
        ck_assert_uint_eq(tp_inject_coin(1), 0);
}
END_TEST

/* --- the last one --------------------------------------------------------------------------------------------- */

START_TEST(there_is_a_last_one_once_there_was_one)
{
    const struct tp_call call = {(uintptr_t)__builtin_return_address(0), (uintptr_t)__builtin_dwarf_cfa()};
    tp_start();
    ck_assert(!tp_inject_tell_last());
    tp_inject_note(1, 100, &nowhere);
    ck_assert(tp_inject_tell_last());
    tp_inject_note(1, 100, &call);
    ck_assert(tp_inject_tell_last());
}
END_TEST

UNIT_MAIN("inject", the_nth_fails_and_no_other, of_all_threads_one_has_the_nth, chances_are_out_of_ten_thousand,
          it_is_the_same_ones_in_every_run, nothing_fails_before_its_time, a_site_is_a_library_or_a_place_in_it,
          a_call_from_nowhere_has_no_site, the_nth_is_of_its_site, coins_have_all_their_sides,
          there_is_a_last_one_once_there_was_one)
