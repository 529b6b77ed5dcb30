/*
 * T1, T2: slots, the tags made of long names, and the peak.
 */
#include "unit.h"

#include "start.h"
#include "tag.h"

#include <stdio.h>
#include <string.h>

static const char *letters_of(uint32_t slot)
{
    static char text[5];
    memcpy(text, &tp_tags[slot].tag, 4);
    return text;
}

static uint32_t open_module(const char *name)
{
    return tp_tag_open_named(name, TAGPOOL_SEGMENT_MODULE);
}

START_TEST(names_give_their_first_letters)
{
    static const struct {
        const char *name, *letters;
    } rows[] = {
        {"libsqlite3.so.0", "sqli"},      {"libc.so.6", "c   "},
        {"python3.11", "pyth"},           {"lib.so", "lib "},
        {"libx-y_z9.so.1", "xyz9"},       {"a", "a   "},
        {"ld-linux-x86-64.so.2", "ldli"}, {"(generated code)", "gene"},
    };
    tp_start();
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        ck_assert_str_eq(letters_of(open_module(rows[i].name)), rows[i].letters);
}
END_TEST

START_TEST(a_name_has_one_slot)
{
    tp_start();
    uint32_t slot = open_module("libsqlite3.so.0");
    ck_assert_uint_ge(slot, TP_SLOT_FIRST);
    ck_assert_uint_eq(open_module("libsqlite3.so.0"), slot);
    ck_assert_uint_ne(open_module("libsqlite3.so.1"), slot);
    ck_assert_str_eq(tp_segment_slots[slot].name, "libsqlite3.so.0");
    ck_assert_uint_eq(tp_segment_slots[slot].used, 1);
    ck_assert_uint_eq(tp_segment_slots[slot].kind, 1);
    ck_assert_uint_eq(tp_segment_slots[slot].face, TAGPOOL_SEGMENT_MODULE);
    ck_assert_uint_eq(tp_segment_slots[slot].tag, tp_tags[slot].tag);
}
END_TEST

START_TEST(like_names_get_unlike_tags)
{
    enum { COUNT = 400 };
    static uint32_t slots[COUNT];
    tp_start();
    for (int i = 0; i < COUNT; i++) {
        char name[32];
        snprintf(name, sizeof(name), "libcollide%d.so", i);
        slots[i] = open_module(name);
        for (int j = 0; j < i; j++)
            ck_assert_uint_ne(tp_tags[slots[j]].tag, tp_tags[slots[i]].tag);
    }
    ck_assert_str_eq(letters_of(slots[0]), "coll");
    ck_assert_str_eq(letters_of(slots[1]), "col0");
    ck_assert_str_eq(letters_of(slots[36]), "co00"); /* "coll" itself is one of the 36 */
}
END_TEST

START_TEST(a_name_does_not_take_a_tag_that_the_programmer_chose)
{
    tp_start();
    uint32_t chosen = tp_tag_open(0x696c7173 /* "sqli" */, TP_LAYOUT_PAGED);
    ck_assert_str_eq(letters_of(chosen), "sqli");
    ck_assert_str_eq(letters_of(open_module("libsqlite3.so.0")), "sql0");
}
END_TEST

START_TEST(long_names_are_cut_and_found_again)
{
    char name[300];
    memset(name, 'n', sizeof(name));
    name[sizeof(name) - 1] = '\0';
    tp_start();
    uint32_t slot = open_module(name);
    ck_assert_uint_eq(strlen(tp_segment_slots[slot].name), TAGPOOL_SEGMENT_NAME - 1);
    ck_assert_uint_eq(open_module(name), slot);
}
END_TEST

START_TEST(a_layout_is_a_slot_of_its_own)
{
    tp_start();
    uint32_t paged = tp_tag_open(0x64636241, TP_LAYOUT_PAGED), nonpaged = tp_tag_open(0x64636241, TP_LAYOUT_NONPAGED);
    ck_assert_uint_ne(paged, nonpaged);
    ck_assert_uint_eq(tp_tag_open(0x64636241, TP_LAYOUT_PAGED), paged);
    ck_assert_uint_eq(tp_tag_find(0x64636241, TP_LAYOUT_NONPAGED), nonpaged);
    ck_assert_uint_eq(tp_tag_find(0x65636241, TP_LAYOUT_PAGED), TAGPOOL_SEGMENT_NO_SLOT);
    ck_assert_uint_eq(tp_segment_slots[nonpaged].kind, 0);
    ck_assert_uint_eq(tp_segment_slots[paged].kind, 1);
    ck_assert_uint_eq(tp_tags[paged].table, TP_TABLE_POOL);
}
END_TEST

START_TEST(a_full_table_overflows_and_says_so)
{
    uint32_t tag = 0x20202020, last = 0;
    tp_start();
    ck_assert_uint_eq(tp_segment->flags & TAGPOOL_SEGMENT_SLOTS_FULL, 0);
    for (uint32_t i = TP_SLOT_FIRST; i < TP_SLOT_COUNT; i++)
        last = tp_tag_open(tag++, TP_LAYOUT_PAGED);
    ck_assert_uint_eq(last, TP_SLOT_COUNT - 1);
    ck_assert_uint_eq(tp_segment->flags & TAGPOOL_SEGMENT_SLOTS_FULL, 0);
    uint32_t paged = tp_tag_open(tag, TP_LAYOUT_PAGED), nonpaged = tp_tag_open(tag, TP_LAYOUT_NONPAGED);
    uint32_t named = open_module("libone.so.too.many");
    ck_assert_uint_eq(paged, TP_SLOT_OVERFLOW + TP_LAYOUT_PAGED);
    ck_assert_uint_eq(nonpaged, TP_SLOT_OVERFLOW + TP_LAYOUT_NONPAGED);
    ck_assert_uint_eq(named, TP_SLOT_OVERFLOW + TP_LAYOUT_MALLOC);
    ck_assert_str_eq(letters_of(paged), "????");
    ck_assert_uint_eq(tp_tags[nonpaged].layout, TP_LAYOUT_NONPAGED);
    ck_assert_uint_ne(tp_segment->flags & TAGPOOL_SEGMENT_SLOTS_FULL, 0);
    ck_assert_uint_eq(tp_tag_open(0x20202020 + 5, TP_LAYOUT_PAGED), TP_SLOT_FIRST + 5);
    ck_assert_uint_eq(tp_segment->slots_used_total, TP_SLOT_COUNT);
}
END_TEST

START_TEST(sites_are_numbered)
{
    tp_start();
    uint32_t slot = tp_tag_open_named("sqlite3+0x1234", TAGPOOL_SEGMENT_SITE);
    uint32_t other = tp_tag_open_named("sqlite3+0x1238", TAGPOOL_SEGMENT_SITE);
    ck_assert_int_eq(letters_of(slot)[0], '@');
    ck_assert_uint_ne(tp_tags[slot].tag, tp_tags[other].tag);
    ck_assert_uint_eq(tp_segment_slots[slot].face, TAGPOOL_SEGMENT_SITE);
}
END_TEST

START_TEST(the_peak_is_the_highest_that_was_live)
{
    tp_start();
    uint32_t slot = tp_tag_open(0x6b616550, TP_LAYOUT_PAGED);
    tp_tag_charge(slot, 1000);
    tp_tag_charge(slot, -600);
    tp_tag_charge(slot, 500);
    ck_assert_uint_eq(tp_tags[slot].peak_bytes, 1000);
    ck_assert_uint_eq(tp_tags[slot].charged_bytes, 900);
    tp_tag_charge(slot, 200);
    ck_assert_uint_eq(tp_segment_slots[slot].peak_bytes, 1100);
}
END_TEST

UNIT_MAIN("tag", names_give_their_first_letters, a_name_has_one_slot, like_names_get_unlike_tags,
          a_name_does_not_take_a_tag_that_the_programmer_chose, long_names_are_cut_and_found_again,
          a_layout_is_a_slot_of_its_own, a_full_table_overflows_and_says_so, sites_are_numbered,
          the_peak_is_the_highest_that_was_live)
