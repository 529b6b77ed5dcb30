/*
 * S1, S2 by a walk over the descriptors after each step, and what spans hold.
 */
#include "unit.h"

#include "dice.h"
#include "os.h"
#include "segment.h"
#include "sizeclass.h"
#include "span.h"
#include "start.h"

enum { SPANS = 200, STEPS = 20000 };

static struct tp_page *spans[SPANS];

static void span_start(void)
{
    tp_start();
    ck_assert_uint_eq(tp_span_watermark(1), tp_span_region_first(1));
}

static bool is_free_run(const struct tp_page *page)
{
    return page->state == TP_UNIT_CLEAN || page->state == TP_UNIT_DIRTY;
}

static const struct tp_page *held_span_at(size_t unit)
{
    for (int i = 0; i < SPANS; i++)
        if (spans[i] != NULL && tp_page_unit(spans[i]) == unit)
            return spans[i];
    return NULL;
}

/* Every unit below the watermark is in one free run or one span of ours; equal neighbours were merged. */
static void walk(unsigned region)
{
    size_t unit = tp_span_region_first(region);
    size_t end = tp_span_watermark(region);
    size_t dirty = 0, used = 0;
    int last = -1;
    while (unit < end) {
        const struct tp_page *held = held_span_at(unit);
        const struct tp_page *page = &tp_space.pages[unit];
        ck_assert_msg(held != NULL || is_free_run(page), "S2: unit %zu is in nothing", unit);
        ck_assert_uint_gt(page->units, 0);
        if (held == NULL) {
            ck_assert_msg(last != page->state, "S1: two runs of state %d touch at %zu", last, unit);
            ck_assert_uint_eq(page[page->units - 1].units, page->units);
            ck_assert_uint_eq(page[page->units - 1].state, page->state);
            dirty += page->state == TP_UNIT_DIRTY ? page->units : 0;
        } else {
            used += held->units;
        }
        last = held == NULL ? page->state : -1;
        unit += page->units;
    }
    ck_assert_uint_eq(unit, end);
    ck_assert_uint_eq(tp_span_dirty_bytes(), dirty << TP_UNIT_SHIFT);
    ck_assert_uint_eq(tp_span_used_bytes(), used << TP_UNIT_SHIFT);
}

static uint64_t *word_of(const struct tp_page *span, size_t unit)
{
    return (uint64_t *)tp_unit_address(tp_page_unit(span) + unit);
}

/* What a new span says of its memory is true; mark each unit as this span's. */
static void fill(struct tp_page *span, size_t from)
{
    for (size_t unit = from; unit < span->units; unit++) {
        if (span->is_new && from == 0)
            ck_assert_uint_eq(*word_of(span, unit), 0);
        *word_of(span, unit) = (uintptr_t)span + unit;
    }
}

static void verify(const struct tp_page *span)
{
    for (size_t unit = 0; unit < span->units; unit++)
        ck_assert_uint_eq(*word_of(span, unit), (uintptr_t)span + unit);
}

static void take(struct dice *dice, int i)
{
    size_t units = dice_below(dice, 4) == 0 ? 1 + dice_below(dice, 70) : 1 + dice_below(dice, 4);
    size_t align = (size_t)1 << (dice_below(dice, 4) == 0 ? dice_below(dice, 6) : 0);
    struct tp_page *span = tp_span_alloc(1, units, align);
    ck_assert_ptr_nonnull(span);
    ck_assert_uint_eq(span->units, units);
    ck_assert_uint_eq(span->region, 1);
    ck_assert_uint_eq(((uintptr_t)word_of(span, 0) >> TP_UNIT_SHIFT) % align, 0);
    for (size_t unit = 0; unit < units; unit++)
        ck_assert_uint_eq(tp_space.owners[tp_page_unit(span) + unit], TP_OWNER_NONE);
    fill(span, 0);
    span->is_new = 0;
    spans[i] = span;
}

static void give_back(int i)
{
    verify(spans[i]);
    tp_span_free(spans[i]);
    spans[i] = NULL;
}

static void extend(struct dice *dice, int i)
{
    size_t before = spans[i]->units;
    size_t units = before + 1 + dice_below(dice, 3);
    bool done = tp_span_extend(spans[i], units);
    ck_assert_uint_eq(spans[i]->units, done ? units : before);
    fill(spans[i], before);
    verify(spans[i]);
}

START_TEST(random_spans_never_overlap_and_runs_merge)
{
    struct dice dice = dice_from_environment();
    span_start();
    for (int step = 0; step < STEPS; step++) {
        int i = (int)dice_below(&dice, SPANS);
        if (spans[i] == NULL)
            take(&dice, i);
        else if (dice_below(&dice, 8) == 0)
            extend(&dice, i);
        else
            give_back(i);
        if (dice_below(&dice, 500) == 0)
            tp_span_trim();
        if (step % 16 == 0)
            walk(1);
    }
    for (int i = 0; i < SPANS; i++)
        if (spans[i] != NULL)
            give_back(i);
    walk(1);
    ck_assert_uint_eq(tp_span_used_bytes(), 0);
}
END_TEST

START_TEST(all_of_it_merges_back_into_one_run)
{
    span_start();
    for (int i = 0; i < SPANS; i++)
        spans[i] = tp_span_alloc(1, 1 + (size_t)i % 5, 1);
    for (int i = 0; i < SPANS; i += 2)
        tp_span_free(spans[i]), spans[i] = NULL;
    for (int i = 1; i < SPANS; i += 2)
        tp_span_free(spans[i]), spans[i] = NULL;
    tp_span_trim();
    const struct tp_page *first = &tp_space.pages[tp_span_region_first(1)];
    ck_assert_uint_eq(first->state, TP_UNIT_CLEAN);
    ck_assert_uint_eq(first->units, tp_span_watermark(1) - tp_span_region_first(1));
}
END_TEST

START_TEST(trim_gives_memory_back_and_it_reads_as_zero)
{
    span_start();
    spans[0] = tp_span_alloc(1, 8, 1);
    ck_assert(spans[0]->is_new);
    fill(spans[0], 0);
    spans[0]->is_new = 0;
    tp_span_free(spans[0]);
    ck_assert_uint_eq(tp_span_dirty_bytes(), 8 * TP_UNIT);
    ck_assert_uint_eq(tp_span_trim(), 8 * TP_UNIT);
    ck_assert_uint_eq(tp_span_dirty_bytes(), 0);
    ck_assert_uint_eq(tp_span_trim(), 0);
    struct tp_page *again = tp_span_alloc(1, 8, 1);
    ck_assert_ptr_eq(again, spans[0]);
    ck_assert(again->is_new);
    fill(again, 0);
}
END_TEST

START_TEST(dirty_memory_is_used_before_clean)
{
    span_start();
    struct tp_page *clean = tp_span_alloc(1, 4, 1), *wall = tp_span_alloc(1, 1, 1), *dirty = tp_span_alloc(1, 4, 1);
    struct tp_page *end = tp_span_alloc(1, 1, 1);
    clean->is_new = wall->is_new = dirty->is_new = end->is_new = 0;
    tp_span_free(clean);
    tp_span_trim();
    tp_span_free(dirty);
    ck_assert_ptr_eq(tp_span_alloc(1, 4, 1), dirty);
    ck_assert_ptr_eq(tp_span_alloc(1, 4, 1), clean);
}
END_TEST

START_TEST(what_cannot_be_had_is_null_and_nothing_changed)
{
    span_start();
    ck_assert_ptr_null(tp_span_alloc(1, tp_space.unit_count * 2, 1));
    ck_assert_ptr_null(tp_span_alloc(0, tp_space.unit_count, 1));
    ck_assert_uint_eq(tp_span_watermark(1), tp_span_region_first(1));
    ck_assert_uint_eq(tp_span_used_bytes(), 0);
}
END_TEST

START_TEST(the_two_pools_are_apart)
{
    span_start();
    struct tp_page *paged = tp_span_alloc(1, 1, 1), *nonpaged = tp_span_alloc(0, 1, 1);
    ck_assert(tp_area_contains(TP_AREA_POOL_PAGED, tp_unit_address(tp_page_unit(paged))));
    ck_assert(tp_area_contains(TP_AREA_POOL_NONPAGED, tp_unit_address(tp_page_unit(nonpaged))));
    ck_assert_uint_ge(tp_page_unit(nonpaged), tp_span_region_first(0));
    ck_assert_uint_eq(tp_segment->region[0].first, tp_span_region_first(0));
    ck_assert_uint_eq(tp_segment->region[0].used_total, 1);
    ck_assert_uint_eq(tp_segment->region[1].used_total, 1);
}
END_TEST

START_TEST(a_span_does_not_grow_into_another)
{
    span_start();
    struct tp_page *first = tp_span_alloc(1, 2, 1), *second = tp_span_alloc(1, 2, 1);
    ck_assert_ptr_eq(second, first + 2);
    ck_assert(!tp_span_extend(first, 3));
    tp_span_free(second);
    ck_assert(tp_span_extend(first, 3));
    ck_assert_uint_eq(first->units, 3);
    ck_assert(!tp_span_extend(first, 5));
    ck_assert(tp_span_extend(first, 4));
    ck_assert(tp_span_extend(first, 40)); /* the watermark is behind it */
    ck_assert_uint_eq(tp_span_watermark(1), tp_page_unit(first) + 40);
}
END_TEST

UNIT_MAIN("span", random_spans_never_overlap_and_runs_merge, all_of_it_merges_back_into_one_run,
          trim_gives_memory_back_and_it_reads_as_zero, dirty_memory_is_used_before_clean,
          what_cannot_be_had_is_null_and_nothing_changed, the_two_pools_are_apart, a_span_does_not_grow_into_another)
