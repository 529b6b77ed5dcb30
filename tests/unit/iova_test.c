/*
 * V1: ranges are whole pages within the bounds, and no two overlap.
 */
#include "unit.h"

#include "iova.h"

#define PAGE ((uint64_t)TP_OS_PAGE)
enum { RANGES = 200 };

static struct tp_iova ranges[RANGES];

static uint64_t take(struct tp_iova *range, uint64_t size, uint64_t minimum, uint64_t maximum)
{
    ck_assert(tp_iova_take(range, size, minimum, maximum));
    ck_assert_uint_eq(range->size, size);
    ck_assert_uint_eq(range->base % PAGE, 0);
    ck_assert_uint_ge(range->base, minimum);
    ck_assert_uint_le(range->base + size - 1, maximum);
    return range->base;
}

START_TEST(the_lowest_gap_that_fits_is_taken)
{
    ck_assert_uint_eq(take(&ranges[0], PAGE, 0, UINT64_MAX), TP_IOVA_FIRST);
    ck_assert_uint_eq(take(&ranges[1], 3 * PAGE, 0, UINT64_MAX), TP_IOVA_FIRST + PAGE);
    ck_assert_uint_eq(take(&ranges[2], PAGE, 0, UINT64_MAX), TP_IOVA_FIRST + 4 * PAGE);
    tp_iova_give(&ranges[1]);
    ck_assert_uint_eq(take(&ranges[3], 4 * PAGE, 0, UINT64_MAX), TP_IOVA_FIRST + 5 * PAGE);
    ck_assert_uint_eq(take(&ranges[4], 2 * PAGE, 0, UINT64_MAX), TP_IOVA_FIRST + PAGE);
    ck_assert_uint_eq(take(&ranges[5], 2 * PAGE, 0, UINT64_MAX), TP_IOVA_FIRST + 9 * PAGE);
    ck_assert_uint_eq(take(&ranges[6], PAGE, 0, UINT64_MAX), TP_IOVA_FIRST + 3 * PAGE);
    tp_iova_give(&ranges[0]);
    ck_assert_uint_eq(take(&ranges[7], PAGE, 0, UINT64_MAX), TP_IOVA_FIRST);
}
END_TEST

START_TEST(bounds_are_kept)
{
    const uint64_t high = UINT64_C(1) << 40;
    ck_assert_uint_eq(take(&ranges[0], PAGE, high + 1, UINT64_MAX), high + PAGE);
    ck_assert_uint_eq(take(&ranges[1], PAGE, high, high + PAGE - 1), high);
    ck_assert(!tp_iova_take(&ranges[2], PAGE, high, high + 2 * PAGE - 1)); /* both are taken */
    ck_assert(!tp_iova_take(&ranges[2], PAGE, high, high + 3 * PAGE - 2)); /* not a whole page */
    ck_assert_uint_eq(take(&ranges[2], PAGE, high, high + 3 * PAGE - 1), high + 2 * PAGE);
    ck_assert_uint_eq(take(&ranges[3], PAGE, 0, high), TP_IOVA_FIRST);
    ck_assert(!tp_iova_take(&ranges[4], PAGE, 0, TP_IOVA_FIRST - 1));
}
END_TEST

START_TEST(what_is_too_large_is_refused)
{
    const uint64_t all = TP_IOVA_END - TP_IOVA_FIRST;
    ck_assert(!tp_iova_take(&ranges[0], all + PAGE, 0, UINT64_MAX));
    ck_assert(!tp_iova_take(&ranges[0], UINT64_MAX - PAGE + 1, 0, UINT64_MAX));
    ck_assert(!tp_iova_take(&ranges[0], PAGE, TP_IOVA_END, UINT64_MAX));
    ck_assert(!tp_iova_take(&ranges[0], PAGE, UINT64_MAX, UINT64_MAX));
    ck_assert_uint_eq(take(&ranges[0], all, 0, UINT64_MAX), TP_IOVA_FIRST);
    ck_assert(!tp_iova_take(&ranges[1], PAGE, 0, UINT64_MAX));
    tp_iova_give(&ranges[0]);
    ck_assert_uint_eq(take(&ranges[1], PAGE, TP_IOVA_END - PAGE, UINT64_MAX), TP_IOVA_END - PAGE);
}
END_TEST

static void check_apart(const struct tp_iova *range)
{
    for (const struct tp_iova *other = ranges; other < ranges + RANGES; other++)
        if (other != range && other->size != 0)
            ck_assert(other->base + other->size <= range->base || range->base + range->size <= other->base);
}

START_TEST(no_two_overlap_whatever_comes_and_goes)
{
    unsigned seed = 1;
    for (int i = 0; i < 20000; i++) {
        seed = seed * 1103515245 + 12345;
        struct tp_iova *range = &ranges[(seed >> 16) % RANGES];
        if (range->size != 0) {
            tp_iova_give(range);
            range->size = 0;
        } else {
            uint64_t size = (1 + seed % 9) * PAGE;
            take(range, size, (seed >> 8) % 64 * PAGE, UINT64_MAX);
            check_apart(range);
        }
    }
}
END_TEST

UNIT_MAIN("iova", the_lowest_gap_that_fits_is_taken, bounds_are_kept, what_is_too_large_is_refused,
          no_two_overlap_whatever_comes_and_goes)
