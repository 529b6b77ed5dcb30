/*
 * B1 and the rules of the public header.
 */
#include "fault.h"
#include "unit.h"

#include <tagpool/bundle.h>

#include <errno.h>
#include <string.h>

#define TAG TAGPOOL_TAG('B', 'n', 'd', 'l')

struct header {
    uint64_t id;
    char name[21];
};

static struct tagpool_stats stats(void)
{
    struct tagpool_stats now;
    ck_assert_int_eq(tagpool_stats(TAGPOOL_PAGED, TAG, &now), 0);
    return now;
}

static void check_nothing_is_live(void)
{
    ck_assert_uint_eq(stats().allocs, stats().frees);
    ck_assert_uint_eq(stats().bytes, 0);
}

START_TEST(parts_lie_in_order_in_one_block)
{
    struct header *header;
    char *text;
    uint32_t *numbers;
    double *one;
    const struct tagpool_bundle_part parts[] = {TAGPOOL_PART(header, 1), TAGPOOL_PART(text, 3),
                                                TAGPOOL_PART(numbers, 5), TAGPOOL_PART(one, 1)};
    void *block = tagpool_bundle_alloc(TAGPOOL_PAGED, TAG, parts, 4);
    ck_assert_ptr_nonnull(block);
    ck_assert_ptr_eq(header, block);
    ck_assert_ptr_eq(text, (char *)block + 32);
    ck_assert_ptr_eq(numbers, (char *)block + 36);
    ck_assert_ptr_eq(one, (char *)block + 56);
    ck_assert_uint_eq(tagpool_bundle_size(parts, 4, NULL), 64);
    ck_assert_uint_eq(tagpool_size(block), 64);
    ck_assert_uint_eq(stats().allocs, 1);
    tagpool_free(header);
    check_nothing_is_live();
}
END_TEST

static void check_alignment(size_t alignment)
{
    char *first, *aligned, *last;
    size_t asked = 0;
    const struct tagpool_bundle_part parts[] = {
        TAGPOOL_PART(first, 1), {10, 3, alignment, &aligned}, TAGPOOL_PART(last, 100)};
    ck_assert_uint_gt(tagpool_bundle_size(parts, 3, &asked), alignment);
    ck_assert_uint_eq(asked, alignment > 16 ? alignment : 16);
    ck_assert_ptr_nonnull(tagpool_bundle_alloc(TAGPOOL_PAGED, TAG, parts, 3));
    ck_assert_ptr_eq(aligned, first + alignment);
    ck_assert_uint_eq((uintptr_t)aligned % alignment, 0);
    ck_assert_ptr_eq(last, aligned + 30);
    ck_assert_uint_ge(tagpool_size(first), alignment + 130);
    tagpool_free(first);
}

START_TEST(alignments_are_honoured)
{
    for (size_t alignment = 1; alignment <= (size_t)1 << 20; alignment *= 2)
        check_alignment(alignment);
    check_nothing_is_live();
}
END_TEST

START_TEST(empty_parts_take_no_room)
{
    char *first, *none, *last;
    const struct tagpool_bundle_part parts[] = {TAGPOOL_PART(first, 8), TAGPOOL_PART(none, 0), TAGPOOL_PART(last, 8)};
    ck_assert_uint_eq(tagpool_bundle_size(parts, 3, NULL), 16);
    ck_assert_ptr_nonnull(tagpool_bundle_alloc(TAGPOOL_PAGED, TAG, parts, 3));
    ck_assert_ptr_eq(last, first + 8);
    tagpool_free(first);

    ck_assert_uint_eq(tagpool_bundle_size(&parts[1], 1, NULL), 16);
    ck_assert_ptr_nonnull(tagpool_bundle_alloc(TAGPOOL_PAGED, TAG, &parts[1], 1));
    tagpool_free(none);
    check_nothing_is_live();
}
END_TEST

START_TEST(a_part_without_a_place_keeps_its_room)
{
    char *first, *last;
    const struct tagpool_bundle_part parts[] = {TAGPOOL_PART(first, 8), {1, 56, 1, NULL}, TAGPOOL_PART(last, 8)};
    ck_assert_ptr_nonnull(tagpool_bundle_alloc(TAGPOOL_PAGED, TAG, parts, 3));
    ck_assert_ptr_eq(last, first + 64);
    tagpool_free(first);
}
END_TEST

START_TEST(a_bundle_is_placed_in_any_memory)
{
    static _Alignas(16) char memory[256];
    struct header *header;
    uint16_t *numbers;
    const struct tagpool_bundle_part parts[] = {TAGPOOL_PART(header, 1), TAGPOOL_PART(numbers, 40)};
    ck_assert_uint_le(tagpool_bundle_size(parts, 2, NULL), sizeof(memory));
    tagpool_bundle_place(parts, 2, memory);
    ck_assert_ptr_eq(header, memory);
    ck_assert_ptr_eq(numbers, memory + sizeof(*header));
}
END_TEST

static void check_refused(const struct tagpool_bundle_part *parts, size_t count, int error)
{
    size_t alignment = 7;
    errno = 0;
    ck_assert_uint_eq(tagpool_bundle_size(parts, count, &alignment), 0);
    ck_assert_int_eq(errno, error);
    ck_assert_uint_eq(alignment, 7);
    errno = 0;
    ck_assert_ptr_null(tagpool_bundle_alloc(TAGPOOL_PAGED, TAG, parts, count));
    ck_assert_int_eq(errno, error);
}

START_TEST(wrong_parts_are_einval)
{
    char *first = NULL, *second = NULL;
    struct tagpool_bundle_part parts[] = {TAGPOOL_PART(first, 8), TAGPOOL_PART(second, 8)};
    const size_t wrong[] = {0, 3, 24, SIZE_MAX};
    check_refused(parts, 0, EINVAL);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        parts[1].alignment = wrong[i];
        check_refused(parts, 2, EINVAL);
    }
    parts[1].alignment = 1;
    errno = 0;
    ck_assert_ptr_null(tagpool_bundle_alloc((tagpool_kind_t)2, TAG, parts, 2));
    ck_assert_int_eq(errno, EINVAL);
    errno = 0;
    ck_assert_ptr_null(tagpool_bundle_alloc(TAGPOOL_PAGED, 7, parts, 2));
    ck_assert_int_eq(errno, EINVAL);
    ck_assert_ptr_null(first);
    ck_assert_ptr_null(second);
}
END_TEST

/* Sums and products at and beyond what a size can hold. */
START_TEST(what_overflows_is_enomem)
{
    char *first = NULL, *second = NULL, *third = NULL;
    struct tagpool_bundle_part parts[] = {TAGPOOL_PART(first, 1), TAGPOOL_PART(second, 1), TAGPOOL_PART(third, 1)};
    const struct tagpool_bundle_part huge[] = {
        {SIZE_MAX, 1, 1, &second},           {SIZE_MAX - 1, 1, 1, &second},   {SIZE_MAX / 2, 3, 1, &second},
        {SIZE_MAX / 16 + 2, 16, 1, &second}, {SIZE_MAX - 15, 1, 16, &second}, {1, SIZE_MAX - 16, 8, &second},
    };
    for (size_t i = 0; i < sizeof(huge) / sizeof(huge[0]); i++) {
        parts[1] = huge[i];
        check_refused(parts, 3, ENOMEM);
    }
    parts[1] = (struct tagpool_bundle_part){SIZE_MAX - 100, 1, 1, &second};
    parts[2].alignment = 4096;
    check_refused(parts, 3, ENOMEM);
    ck_assert_ptr_null(first);
    ck_assert_ptr_null(second);
    ck_assert_ptr_null(third);
}
END_TEST

/* A size that can be said, and that no machine has. */
START_TEST(what_cannot_be_had_is_enomem)
{
    char *first = NULL, *second = NULL;
    const struct tagpool_bundle_part parts[] = {TAGPOOL_PART(first, 1), TAGPOOL_PART(second, SIZE_MAX / 2)};
    ck_assert_uint_gt(tagpool_bundle_size(parts, 2, NULL), SIZE_MAX / 2);
    errno = 0;
    ck_assert_ptr_null(tagpool_bundle_alloc(TAGPOOL_PAGED, TAG, parts, 2));
    ck_assert_int_eq(errno, ENOMEM);
    ck_assert_ptr_null(first);
}
END_TEST

START_TEST(a_scope_holds_bundles)
{
    struct header *header;
    char *text, *page;
    const struct tagpool_bundle_part parts[] = {TAGPOOL_PART(header, 1), TAGPOOL_PART(text, 100), {1, 64, 64, &page}};
    tagpool_scope_t *scope = tagpool_scope_create(NULL);
    for (int i = 0; i < 10; i++) {
        void *block = tagpool_scope_bundle(scope, TAGPOOL_PAGED, TAG, parts, 3);
        ck_assert_ptr_eq(block, header);
        ck_assert_uint_eq((uintptr_t)page % 64, 0);
        memset(block, i, 256);
    }
    ck_assert_uint_lt(stats().allocs, 10);
    errno = 0;
    ck_assert_ptr_null(tagpool_scope_bundle(scope, TAGPOOL_PAGED, TAG, parts, 0));
    ck_assert_int_eq(errno, EINVAL);
    tagpool_scope_destroy(scope);
    check_nothing_is_live();
}
END_TEST

static void with_failures(void)
{
    const size_t alignments[] = {8, 64, 4096, (size_t)1 << 17};
    for (size_t i = 0; i < sizeof(alignments) / sizeof(alignments[0]); i++) {
        char *first = NULL, *second = NULL;
        const struct tagpool_bundle_part parts[] = {TAGPOOL_PART(first, 10), {200, 5, alignments[i], &second}};
        errno = 0;
        void *block = tagpool_bundle_alloc(TAGPOOL_PAGED, TAG, parts, 2);
        fault_must(block == first && (block != NULL || (errno == ENOMEM && second == NULL)));
        tagpool_free(block);
    }
    fault_must_be_empty(TAGPOOL_PAGED, TAG);
}

START_TEST(each_allocation_may_fail)
{
    ck_assert_uint_ge(fault_each(with_failures), 4);
}
END_TEST

UNIT_MAIN("bundle", parts_lie_in_order_in_one_block, alignments_are_honoured, empty_parts_take_no_room,
          a_part_without_a_place_keeps_its_room, a_bundle_is_placed_in_any_memory, wrong_parts_are_einval,
          what_overflows_is_enomem, what_cannot_be_had_is_enomem, a_scope_holds_bundles, each_allocation_may_fail)
