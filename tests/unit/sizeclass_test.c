/*
 * C1 to C3, the lookup, and the division by a class's size.
 */
#include "unit.h"

#include "sizeclass.h"

static const struct tp_class_table *table_at(int id)
{
    static int ready;
    if (!ready++)
        tp_sizeclass_init();
    return &tp_class_tables[id];
}

/* The smallest class of at least `size`, by looking at each. */
static unsigned class_by_search(const struct tp_class_table *table, size_t size)
{
    unsigned class = 0;
    while (table->size[class] < size)
        class ++;
    return class;
}

START_TEST(sizes_grow_strictly)
{
    for (int id = 0; id < TP_TABLE_COUNT; id++) {
        const struct tp_class_table *table = table_at(id);
        ck_assert_uint_le(table->count, TP_CLASS_LIMIT);
        ck_assert_uint_eq(table->size[0], 16);
        ck_assert_uint_eq(table->size[table->count - 1], TP_CLASS_MAX_SIZE);
        for (unsigned class = 0; class < table->count; class ++) {
            ck_assert_uint_eq(table->size[class] % 16, 0);
            if (class > 0)
                ck_assert_uint_gt(table->size[class], table->size[class - 1]);
        }
    }
}
END_TEST

START_TEST(each_power_of_two_is_a_class)
{
    for (int id = 0; id < TP_TABLE_COUNT; id++)
        for (size_t size = 16; size <= TP_CLASS_MAX_SIZE; size *= 2)
            ck_assert_uint_eq(table_at(id)->size[class_by_search(table_at(id), size)], size);
}
END_TEST

START_TEST(each_size_gets_the_smallest_class_that_the_lookup_can_tell)
{
    for (int id = 0; id < TP_TABLE_COUNT; id++) {
        const struct tp_class_table *table = table_at(id);
        for (size_t size = 0; size <= TP_CLASS_MAX_SIZE; size++) {
            size_t step = size <= TP_CLASS_SMALL ? 16 : 256;
            unsigned class = tp_class_of(table, size);
            ck_assert_uint_ge(table->size[class], size);
            ck_assert_uint_eq(class, class_by_search(table, tp_round_up(size, step)));
        }
    }
}
END_TEST

START_TEST(packed_sizes_lose_nothing_to_the_lookup)
{
    const struct tp_class_table *table = table_at(TP_TABLE_PACKED);
    for (size_t size = 1; size <= TP_CLASS_MAX_SIZE; size++)
        ck_assert_uint_eq(tp_class_of(table, size), class_by_search(table, size));
}
END_TEST

START_TEST(packed_waste_is_bounded)
{
    const struct tp_class_table *table = table_at(TP_TABLE_PACKED);
    for (size_t size = 129; size <= TP_CLASS_MAX_SIZE; size++)
        ck_assert_uint_le((table->size[tp_class_of(table, size)] - size) * 4, size);
}
END_TEST

START_TEST(pool_sizes_divide_a_page_or_are_whole_pages)
{
    const struct tp_class_table *table = table_at(TP_TABLE_POOL);
    for (unsigned class = 0; class < table->count; class ++) {
        size_t size = table->size[class];
        size_t each = TP_OS_PAGE / size;
        if (size >= TP_OS_PAGE)
            ck_assert_uint_eq(size % TP_OS_PAGE, 0);
        else /* no larger multiple of 16 fits as often */
            ck_assert_uint_gt(each * (size + 16), TP_OS_PAGE);
    }
}
END_TEST

START_TEST(pool_requests_from_a_page_on_are_whole_pages)
{
    const struct tp_class_table *table = table_at(TP_TABLE_POOL);
    for (size_t size = TP_OS_PAGE; size <= TP_CLASS_MAX_SIZE; size++)
        ck_assert_uint_eq(table->size[tp_class_of(table, size)] % TP_OS_PAGE, 0);
}
END_TEST

START_TEST(the_reciprocal_divides_exactly)
{
    for (int id = 0; id < TP_TABLE_COUNT; id++) {
        const struct tp_class_table *table = table_at(id);
        for (unsigned class = 0; class < table->count; class ++) {
            uint64_t size = table->size[class];
            uint64_t end = tp_class_units(size) << TP_UNIT_SHIFT;
            for (uint64_t offset = 0; offset < end; offset++)
                if (offset * table->reciprocal[class] >> TP_CLASS_SHIFT != offset / size)
                    ck_abort_msg("class %u of table %d at %u", class, id, (unsigned)offset);
        }
    }
}
END_TEST

START_TEST(a_page_holds_four_blocks_of_any_class)
{
    for (int id = 0; id < TP_TABLE_COUNT; id++)
        for (unsigned class = 0; class < table_at(id)->count; class ++) {
            size_t size = table_at(id)->size[class];
            size_t units = tp_class_units(size);
            ck_assert_uint_ge(units, 1);
            ck_assert_uint_le(units, 8);
            ck_assert_uint_ge((units << TP_UNIT_SHIFT) / size, 4);
        }
}
END_TEST

START_TEST(aligned_classes_are_the_smallest_multiples)
{
    static const size_t sizes[] = {0, 1, 16, 17, 100, 1000, 1024, 1025, 4095, 4096, 5000, 65536, 65537, 131072};
    for (int id = 0; id < TP_TABLE_COUNT; id++) {
        const struct tp_class_table *table = table_at(id);
        for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
            for (size_t alignment = 16; alignment <= TP_UNIT; alignment *= 2) {
                unsigned class = tp_class_of_aligned(table, sizes[i], alignment);
                ck_assert_uint_lt(class, table->count);
                ck_assert_uint_ge(table->size[class], sizes[i]);
                ck_assert_uint_eq(table->size[class] % alignment, 0);
                for (unsigned lower = tp_class_of(table, sizes[i]); lower < class; lower++)
                    ck_assert_uint_ne(table->size[lower] % alignment, 0);
            }
    }
}
END_TEST

START_TEST(what_no_class_serves_is_said)
{
    ck_assert_uint_eq(tp_class_of_aligned(table_at(0), TP_CLASS_MAX_SIZE + 1, 16), TP_CLASS_LIMIT);
    ck_assert_uint_eq(tp_class_of_aligned(table_at(0), 16, 2 * TP_UNIT), TP_CLASS_LIMIT);
}
END_TEST

UNIT_MAIN("sizeclass", sizes_grow_strictly, each_power_of_two_is_a_class,
          each_size_gets_the_smallest_class_that_the_lookup_can_tell, packed_sizes_lose_nothing_to_the_lookup,
          packed_waste_is_bounded, pool_sizes_divide_a_page_or_are_whole_pages,
          pool_requests_from_a_page_on_are_whole_pages, the_reciprocal_divides_exactly,
          a_page_holds_four_blocks_of_any_class, aligned_classes_are_the_smallest_multiples,
          what_no_class_serves_is_said)
