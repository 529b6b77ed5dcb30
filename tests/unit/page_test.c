/*
 * P1, P2: carving, the index of a block, and the owner words, on a page that no heap knows.
 */
#include "unit.h"

#include "child.h"
#include "page.h"

#include <stdlib.h>
#include <string.h>

static struct tp_page pages[32];
static uint64_t owners[32];

static size_t capacity_of(const struct tp_page *page)
{
    size_t bytes = (size_t)page->units << TP_UNIT_SHIFT;
    if (page->table == TP_TABLE_POOL && page->block_size < TP_OS_PAGE)
        return TP_OS_PAGE / page->block_size * (bytes / TP_OS_PAGE);
    return bytes / page->block_size;
}

static struct tp_page *page_make(enum tp_table_id table, unsigned class)
{
    static char *memory;
    if (memory == NULL) {
        tp_sizeclass_init();
        tp_space.owners = owners;
        tp_space.pages = pages;
        memory = aligned_alloc(TP_UNIT, 8 * TP_UNIT);
        ck_assert_ptr_nonnull(memory);
    }
    struct tp_page *page = &pages[3];
    *page = (struct tp_page){.start = memory, .table = (uint8_t)table, .class = (uint8_t) class, .slot = 7};
    page->wake = TP_PAGE_WAKE_EMPTY;
    page->block_size = tp_class_tables[table].size[class];
    page->units = tp_class_units(page->block_size);
    page->capacity = (uint32_t)capacity_of(page);
    return page;
}

/* Blocks that come off the page one after the other, each checked against where it must lie. */
static void page_drain(struct tp_page *page)
{
    char *last = page->start;
    for (uint32_t index = 0; index < page->capacity; index++) {
        if (page->free == NULL)
            ck_assert(tp_page_extend(page));
        tp_page_check(page);
        char *block = tp_page_pop(page);
        ck_assert_ptr_nonnull(block);
        ck_assert(block >= last);
        last = block + page->block_size;
        ck_assert(last <= page->start + ((size_t)page->units << TP_UNIT_SHIFT));
        ck_assert_uint_eq((uintptr_t)block % 16, 0);
        if (page->table == TP_TABLE_POOL && page->block_size <= TP_OS_PAGE)
            ck_assert_uint_eq((uintptr_t)block / TP_OS_PAGE, ((uintptr_t)last - 1) / TP_OS_PAGE);
        if (page->table == TP_TABLE_POOL && page->block_size >= TP_OS_PAGE)
            ck_assert_uint_eq((uintptr_t)block % TP_OS_PAGE, 0);
        ck_assert_uint_eq(tp_page_index(page, block), index);
    }
}

START_TEST(every_block_of_every_class_has_its_place_and_index)
{
    page_make(TP_TABLE_PACKED, 0);
    for (int table = 0; table < TP_TABLE_COUNT; table++)
        for (unsigned class = 0; class < tp_class_tables[table].count; class ++) {
            struct tp_page *page = page_make((enum tp_table_id)table, class);
            page_drain(page);
            ck_assert_ptr_null(tp_page_pop(page));
            ck_assert(!tp_page_extend(page));
            ck_assert_uint_eq(page->used, page->capacity);
            ck_assert_uint_eq(page->carved, page->capacity);
        }
}
END_TEST

START_TEST(a_step_carves_an_os_page_at_most)
{
    page_make(TP_TABLE_PACKED, 0);
    for (int table = 0; table < TP_TABLE_COUNT; table++)
        for (unsigned class = 0; class < tp_class_tables[table].count; class ++) {
            struct tp_page *page = page_make((enum tp_table_id)table, class);
            ck_assert(tp_page_extend(page));
            ck_assert_uint_ge(page->carved, 1);
            ck_assert_uint_le(page->carved * page->block_size, tp_max(TP_OS_PAGE, page->block_size));
        }
}
END_TEST

START_TEST(the_last_block_back_is_told)
{
    struct tp_page *page = page_make(TP_TABLE_PACKED, 3);
    tp_page_extend(page);
    void *first = tp_page_pop(page), *second = tp_page_pop(page);
    ck_assert_uint_eq(tp_page_live_bytes(page), 2 * page->block_size);
    ck_assert(!tp_page_push(page, first));
    ck_assert(tp_page_push(page, second));
    ck_assert_uint_eq(page->used, 0);
    ck_assert(tp_page_push(page, second)); /* one too many: told as well */
    ck_assert_uint_eq(page->used, UINT32_MAX);
}
END_TEST

START_TEST(the_first_block_back_to_a_full_page_is_told)
{
    struct tp_page *page = page_make(TP_TABLE_PACKED, 3);
    tp_page_extend(page);
    void *first = tp_page_pop(page), *second = tp_page_pop(page), *third = tp_page_pop(page);
    page->wake = TP_PAGE_WAKE_FULL;
    ck_assert(tp_page_is_full(page));
    ck_assert(tp_page_push(page, first));
    page->wake = TP_PAGE_WAKE_EMPTY;
    ck_assert(!tp_page_is_full(page));
    ck_assert(!tp_page_push(page, second));
    ck_assert(tp_page_push(page, third));
}
END_TEST

static void index_of_middle(void *argument)
{
    struct tp_page *page = argument;
    tp_page_index(page, page->start + page->block_size + 8);
}

static void index_of_uncarved(void *argument)
{
    struct tp_page *page = argument;
    const char *block = page->start + (size_t)page->carved * page->block_size;
    tp_page_check_carved(page, tp_page_index(page, block), block);
}

static void index_beyond_capacity(void *argument)
{
    struct tp_page *page = argument;
    tp_page_index(page, page->start + (size_t)page->capacity * page->block_size);
}

static void index_of_gap(void *argument)
{
    struct tp_page *page = argument;
    tp_page_index(page, page->start + TP_OS_PAGE - 16);
}

START_TEST(what_is_no_block_ends_in_a_stop)
{
    struct tp_page *page = page_make(TP_TABLE_PACKED, 5);
    tp_page_extend(page);
    struct child_result middle = child_run(index_of_middle, page);
    ck_assert_msg(child_stopped(&middle, "CALLER_MIDDLE"), "%s", middle.text);
    struct child_result uncarved = child_run(index_of_uncarved, page);
    ck_assert_msg(child_stopped(&uncarved, "CALLER_INVALID"), "%s", uncarved.text);
    struct child_result beyond = child_run(index_beyond_capacity, page);
    ck_assert_msg(child_stopped(&beyond, "CALLER_INVALID"), "%s", beyond.text);
}
END_TEST

/* Classes that do not divide an OS page leave a gap at its end, where no block lies. */
START_TEST(the_gap_at_the_end_of_an_os_page_is_no_block)
{
    page_make(TP_TABLE_POOL, 0);
    for (unsigned class = 0; class < tp_class_tables[TP_TABLE_POOL].count; class ++) {
        struct tp_page *page = page_make(TP_TABLE_POOL, class);
        if (page->block_size > TP_OS_PAGE || TP_OS_PAGE % page->block_size < 16)
            continue;
        while (tp_page_extend(page))
            ;
        struct child_result gap = child_run(index_of_gap, page);
        ck_assert_msg(child_aborted(&gap), "size %u", page->block_size);
    }
}
END_TEST

static void check_page(void *argument)
{
    tp_page_check(argument);
}

/* The walker itself must be able to fail. */
START_TEST(the_walker_finds_what_is_wrong)
{
    struct tp_page *page = page_make(TP_TABLE_PACKED, 2);
    tp_page_extend(page);
    void *block = tp_page_pop(page);
    struct child_result good = child_run(check_page, page);
    ck_assert_msg(child_succeeded(&good), "%s", good.text);
    page->used++;
    struct child_result counted = child_run(check_page, page);
    ck_assert_msg(child_aborted(&counted) && strstr(counted.text, "invariant P1") != NULL, "%s", counted.text);
    page->used--;
    tp_page_push(page, block);
    tp_page_push(page, block);
    struct child_result twice = child_run(check_page, page);
    ck_assert_msg(child_aborted(&twice) && strstr(twice.text, "invariant P2") != NULL, "%s", twice.text);
    page = page_make(TP_TABLE_PACKED, 2);
    tp_page_extend(page);
    page->free = (struct tp_block *)(page->start + 8);
    page->free->next = NULL;
    struct child_result inside = child_run(check_page, page);
    ck_assert(child_aborted(&inside));
}
END_TEST

START_TEST(owner_words_lead_back_to_the_first_unit)
{
    struct tp_page *page = page_make(TP_TABLE_PACKED, tp_class_of(&tp_class_tables[TP_TABLE_PACKED], 100));
    page = page_make(TP_TABLE_PACKED, tp_class_tables[TP_TABLE_PACKED].count - 1);
    ck_assert_uint_eq(page->units, 8);
    owners[2] = owners[11] = 77;
    tp_page_set_owner(page, 5 << 4);
    for (uint32_t i = 0; i < 8; i++)
        ck_assert_uint_eq(owners[3 + i], (5 << 4 | i));
    tp_page_set_owner(page, TP_OWNER_NONE);
    for (uint32_t i = 0; i < 8; i++)
        ck_assert_uint_eq(owners[3 + i], TP_OWNER_NONE);
    ck_assert_uint_eq(owners[2], 77);
    ck_assert_uint_eq(owners[11], 77);
}
END_TEST

UNIT_MAIN("page", every_block_of_every_class_has_its_place_and_index, a_step_carves_an_os_page_at_most,
          the_last_block_back_is_told, the_first_block_back_to_a_full_page_is_told,
          what_is_no_block_ends_in_a_stop, the_gap_at_the_end_of_an_os_page_is_no_block,
          the_walker_finds_what_is_wrong, owner_words_lead_back_to_the_first_unit)
