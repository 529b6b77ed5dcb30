/*
 * Which requests get which treatment: from words to rules of a slot, and from its rules to a plan.
 */
#include "unit.h"

#include "block.h"
#include "figures.h"
#include "special.h"
#include "start.h"
#include "verify.h"

#include <tagpool.h>

#include <errno.h>
#include <stdlib.h>

#define CONN TAGPOOL_TAG('C', 'o', 'n', 'n')
#define REQ TAGPOOL_TAG('R', 'e', 'q', ' ')
#define OTHER TAGPOOL_TAG('O', 't', 'h', 'r')
enum { REQUESTS = 3000, FIRST = 16 };

static const struct tp_call call = {.pc = 0x1000};

static void begin(const char *words)
{
    if (words != NULL)
        setenv("TAGPOOL_VERIFY", words, 1);
    tp_start();
}

static uint32_t slot_of(tagpool_tag_t tag)
{
    return tp_tag_open(tag, TP_LAYOUT_PAGED);
}

static uint32_t rules_of(tagpool_tag_t tag)
{
    return tp_tag_rules[slot_of(tag)];
}

static uint32_t rules_of_name(const char *name)
{
    return tp_tag_rules[tp_tag_open_named(name, TAGPOOL_SEGMENT_MODULE)];
}

static struct tp_verify_plan plan_of(tagpool_tag_t tag, size_t size)
{
    struct tp_verify_plan plan;
    plan = tp_verify_plan(slot_of(tag), size, &call);
    return plan;
}

static struct tagpool_report_counters counters(void)
{
    struct tagpool_report_counters now;
    tp_figures_read(&now);
    return now;
}

/* --- rules of a slot ------------------------------------------------------------------------------------------ */

START_TEST(without_words_nothing_is_concerned)
{
    begin(NULL);
    ck_assert_uint_eq(tp_tag_rules_on, 0);
    ck_assert(!tp_tag_is_concerned(slot_of(CONN)));
    struct tp_block_info info = tp_block_look_up(tagpool_alloc(TAGPOOL_PAGED, 100, CONN));
    ck_assert(info.page != NULL && !info.page->watched);
}
END_TEST

START_TEST(nor_with_words_that_say_nothing)
{
    begin("nonsense tags=Conn harden");
    ck_assert_uint_eq(tp_tag_rules_on, 0);
}
END_TEST

START_TEST(tags_match_with_their_blanks_or_without)
{
    begin("watch tags=Conn,Req,A,Re*,C?nn");
    ck_assert_uint_eq(rules_of(CONN), 1 << 0 | 1 << 4);
    ck_assert_uint_eq(rules_of(REQ), 1 << 1 | 1 << 3);
    ck_assert_uint_eq(rules_of(TAGPOOL_TAG('A', ' ', ' ', ' ')), 1 << 2);
    ck_assert_uint_eq(rules_of(TAGPOOL_TAG(' ', ' ', ' ', 'A')), 0);
    ck_assert_uint_eq(rules_of(TAGPOOL_TAG(' ', ' ', ' ', ' ')), 0);
    ck_assert_uint_eq(rules_of(TAGPOOL_TAG('R', 'e', 'q', 's')), 1 << 3);
    ck_assert_uint_eq(rules_of(OTHER), 0);
    ck_assert(tp_tag_is_concerned(slot_of(CONN)) && !tp_tag_is_concerned(slot_of(OTHER)));
}
END_TEST

START_TEST(long_names_match_too)
{
    begin("special=all tags=libssl.so.3,lib*,libssl.so");
    ck_assert_uint_eq(rules_of_name("libssl.so.3"), 1 << 0 | 1 << 1);
    ck_assert_uint_eq(rules_of_name("libz.so.1"), 1 << 1);
    ck_assert_uint_eq(rules_of_name("program"), 0);
}
END_TEST

START_TEST(kinds_of_a_tag_are_all_concerned)
{
    begin("watch tags=Conn");
    ck_assert_uint_eq(tp_tag_rules[tp_tag_open(CONN, TP_LAYOUT_NONPAGED)], 1);
    ck_assert_uint_eq(rules_of(CONN), 1);
}
END_TEST

/* --- plans ---------------------------------------------------------------------------------------------------- */

START_TEST(sizes_are_within_their_bounds)
{
    begin("special=all tags=Conn sizes=100-200");
    ck_assert_int_eq(plan_of(CONN, 99).treatment, TP_TREAT_PLAIN);
    ck_assert_int_eq(plan_of(CONN, 100).treatment, TP_TREAT_SPECIAL);
    ck_assert_int_eq(plan_of(CONN, 200).treatment, TP_TREAT_SPECIAL);
    ck_assert_int_eq(plan_of(CONN, 201).treatment, TP_TREAT_PLAIN);
    ck_assert_int_eq(plan_of(OTHER, 150).treatment, TP_TREAT_PLAIN);
    char *inside = tagpool_alloc(TAGPOOL_PAGED, 150, CONN), *outside = tagpool_alloc(TAGPOOL_PAGED, 250, CONN);
    ck_assert(tp_special_owns(inside) && !tp_special_owns(outside));
    tagpool_free(inside);
    tagpool_free(outside);
}
END_TEST

START_TEST(one_side_may_be_open)
{
    begin("watch sizes=4096-");
    ck_assert_int_eq(plan_of(CONN, 4095).treatment, TP_TREAT_PLAIN);
    ck_assert_int_eq(plan_of(CONN, (size_t)1 << 40).treatment, TP_TREAT_WATCH);
}
END_TEST

static unsigned count(enum tp_treatment treatment)
{
    unsigned found = 0;
    for (int i = 0; i < REQUESTS; i++)
        found += plan_of(CONN, 100).treatment == treatment;
    return found;
}

START_TEST(samples_are_one_in_so_many)
{
    begin("special=sample:3");
    unsigned special = count(TP_TREAT_SPECIAL);
    ck_assert_uint_gt(special, REQUESTS / 3 - 200);
    ck_assert_uint_lt(special, REQUESTS / 3 + 200);
    ck_assert_uint_eq(count(TP_TREAT_WATCH), 0);
}
END_TEST

START_TEST(others_are_watched_where_that_is_asked_for)
{
    begin("special=sample:3 watch");
    ck_assert_uint_eq(count(TP_TREAT_PLAIN), 0);
    ck_assert_uint_gt(count(TP_TREAT_WATCH), REQUESTS / 2);
}
END_TEST

START_TEST(sites_have_their_first_ones_there_and_few_later)
{
    begin("special=auto");
    for (int i = 0; i < FIRST; i++)
        ck_assert_int_eq(plan_of(CONN, 100).treatment, TP_TREAT_SPECIAL);
    unsigned special = count(TP_TREAT_SPECIAL);
    ck_assert_uint_gt(special, 20); /* 16 ln(3000 / 16): 84 */
    ck_assert_uint_lt(special, 200);
    ck_assert_uint_eq(count(TP_TREAT_PLAIN), 0);
    ck_assert_int_eq(plan_of(CONN, 5000).treatment, TP_TREAT_SPECIAL); /* sizes are sites of their own */
    struct tp_verify_plan plan;
    const struct tp_call elsewhere = {.pc = 0x2000};
    plan = tp_verify_plan(slot_of(CONN), 100, &elsewhere);
    ck_assert_int_eq(plan.treatment, TP_TREAT_SPECIAL);
}
END_TEST

START_TEST(ends_are_as_asked_for)
{
    begin("special=all ends=under exact");
    ck_assert(plan_of(CONN, 100).under && plan_of(CONN, 100).exact);
}
END_TEST

START_TEST(mixed_ends_are_both)
{
    unsigned under = 0;
    begin("special=all ends=mixed");
    for (int i = 0; i < REQUESTS; i++)
        under += plan_of(CONN, 100).under;
    ck_assert_uint_gt(under, REQUESTS / 2 - 200);
    ck_assert_uint_lt(under, REQUESTS / 2 + 200);
    ck_assert(!plan_of(CONN, 100).exact);
}
END_TEST

/* --- faults, and what is counted ------------------------------------------------------------------------------ */

START_TEST(the_request_that_is_to_fail_fails)
{
    begin("fail=nth:3,tag:Conn");
    tagpool_free(tagpool_alloc(TAGPOOL_PAGED, 1, OTHER));
    void *first = tagpool_alloc(TAGPOOL_PAGED, 1, CONN), *second = tagpool_zalloc(TAGPOOL_PAGED, 1, CONN);
    ck_assert(first != NULL && second != NULL);
    errno = 0;
    ck_assert_ptr_null(tagpool_alloc(TAGPOOL_PAGED, 1, CONN));
    ck_assert_int_eq(errno, ENOMEM);
    ck_assert_uint_eq(counters().faults_injected, 1);
    ck_assert_uint_eq(counters().allocs_attempted, 3);
    void *third = tagpool_alloc(TAGPOOL_PAGED, 1, CONN);
    ck_assert_ptr_nonnull(third);
    void *const blocks[] = {first, second, third};
    for (int i = 0; i < 3; i++)
        tagpool_free(blocks[i]);
    struct tagpool_stats stats;
    ck_assert_int_eq(tagpool_stats(TAGPOOL_PAGED, CONN, &stats), 0);
    ck_assert_uint_eq(stats.allocs, 3);
    ck_assert_uint_eq(stats.bytes, 0);
}
END_TEST

START_TEST(a_resize_that_fails_leaves_the_block)
{
    begin("special=all fail=nth:2,tag:Conn");
    char *block = tagpool_alloc(TAGPOOL_PAGED, 10, CONN);
    block[0] = 7;
    ck_assert_ptr_null(tagpool_realloc(block, 1000));
    ck_assert_int_eq(block[0], 7);
    ck_assert_uint_eq(tagpool_size(block), 10);
    block = tagpool_realloc(block, 1000);
    ck_assert_int_eq(block[0], 7);
    tagpool_free(block);
}
END_TEST

START_TEST(treatments_are_counted)
{
    begin("special=all tags=Conn");
    for (int i = 0; i < 5; i++)
        tagpool_free(tagpool_alloc(TAGPOOL_PAGED, 100, CONN));
    tagpool_free(tagpool_alloc(TAGPOOL_PAGED, 100, OTHER));
    ck_assert_uint_eq(counters().allocs_attempted, 5);
    ck_assert_uint_eq(counters().allocs_special, 5);
    ck_assert_uint_eq(counters().allocs_watched, 0);
    ck_assert_uint_eq(counters().special_refused, 0);
    ck_assert_uint_eq(counters().faults_injected, 0);
}
END_TEST

/* What is not concerned is as fast as ever: pages of its own, which no free asks about. */
START_TEST(others_have_pages_of_their_own)
{
    begin("special=all tags=Conn");
    char *block = NULL;
    for (int i = 0; i < REQUESTS; i++)
        block = tagpool_alloc(TAGPOOL_PAGED, 100, OTHER);
    ck_assert(!tp_page_is_mixed(tp_block_look_up(block).page));
    block = NULL;
    for (int i = 0; i < 100; i++)
        block = tagpool_alloc(TAGPOOL_PAGED, 100, CONN);
    ck_assert(tp_special_owns(block));
}
END_TEST

UNIT_MAIN("verify", without_words_nothing_is_concerned, nor_with_words_that_say_nothing,
          tags_match_with_their_blanks_or_without, long_names_match_too, kinds_of_a_tag_are_all_concerned,
          sizes_are_within_their_bounds, one_side_may_be_open, samples_are_one_in_so_many,
          others_are_watched_where_that_is_asked_for, sites_have_their_first_ones_there_and_few_later,
          ends_are_as_asked_for, mixed_ends_are_both, the_request_that_is_to_fail_fails,
          a_resize_that_fails_leaves_the_block, treatments_are_counted, others_have_pages_of_their_own)
