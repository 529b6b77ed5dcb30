/*
 * The budget of auto: which blocks are watched where a program does little but allocate.  Who goes to special pool is
 * in verify_test.c.
 */
#include "unit.h"

#include "budget.h"
#include "figures.h"
#include "os.h"
#include "start.h"

#include <stdlib.h>

enum { FIRST = 4096, MANY = 3000000 };

static void begin(const char *words)
{
    setenv("TAGPOOL_VERIFY", words, 1);
    tp_start();
    tp_thread_self();
}

struct verdicts {
    unsigned watched, special, left;
};

static void work(uint64_t ns)
{
    uint64_t until = tp_os_cpu_ns() + ns;
    while (tp_os_cpu_ns() < until)
        ;
}

/* Requests of one site, with so much CPU time between each hundred of them. */
static struct verdicts ask(uintptr_t pc, unsigned count, uint64_t between_ns)
{
    const struct tp_call call = {.pc = pc};
    struct verdicts sum = {0};
    for (unsigned i = 0; i < count; i++) {
        enum tp_budget_verdict verdict = tp_budget_decide(&call, 100);
        sum.watched += verdict == TP_BUDGET_WATCH;
        sum.special += verdict == TP_BUDGET_SPECIAL;
        sum.left += verdict == TP_BUDGET_LEAVE;
        if (verdict == TP_BUDGET_WATCH)
            tp_figures_note_made(false, 1, 112);
        if (between_ns != 0 && i % 100 == 0)
            work(between_ns);
    }
    return sum;
}

START_TEST(who_does_little_else_has_fewer_watched)
{
    begin("special=auto");
    struct verdicts all = ask(0x1000, MANY, 0);
    ck_assert_uint_gt(all.left, MANY / 4);
    ck_assert_uint_gt(all.watched, MANY / 3);
}
END_TEST

START_TEST(the_first_ones_of_a_site_are_watched_all_the_same)
{
    begin("special=auto");
    ask(0x1000, MANY, 0);
    ck_assert_uint_eq(ask(0x2000, FIRST, 0).left, 0);
}
END_TEST

START_TEST(who_works_as_well_has_all_of_them)
{
    begin("special=auto");
    struct verdicts all = ask(0x1000, 100000, 200000);
    ck_assert_uint_eq(all.left, 0);
}
END_TEST

START_TEST(they_are_back_when_there_is_time)
{
    begin("special=auto");
    ck_assert_uint_gt(ask(0x1000, MANY, 0).left, 0);
    ask(0x1000, 100000, 200000);
    ck_assert_uint_eq(ask(0x1000, 10000, 200000).left, 0);
}
END_TEST

START_TEST(a_budget_of_all_the_time_watches_all)
{
    begin("special=auto:100");
    struct verdicts all = ask(0x1000, 300000, 20000);
    ck_assert_uint_eq(all.left, 0);
}
END_TEST

UNIT_MAIN("budget", who_does_little_else_has_fewer_watched, the_first_ones_of_a_site_are_watched_all_the_same,
          who_works_as_well_has_all_of_them, they_are_back_when_there_is_time, a_budget_of_all_the_time_watches_all)
