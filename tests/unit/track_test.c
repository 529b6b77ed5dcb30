/*
 * Tracked blocks: who allocated them is known, and they are ordinary blocks all the same.
 */
#include "unit.h"

#include "blame.h"
#include "block.h"
#include "start.h"
#include "track.h"
#include "verify.h"

#include <tagpool.h>

#include <stdlib.h>

#define TAG TAGPOOL_TAG('T', 'r', 'k', ' ')
#define OTHER TAGPOOL_TAG('O', 't', 'h', 'r')
enum { MANY = 6000, SIZE = 100, LARGE = 300000 };

static void begin(const char *words)
{
    setenv("TAGPOOL_VERIFY", words, 1);
    tp_start();
}

static void *make(size_t size, tagpool_tag_t tag)
{
    void *block = tagpool_alloc(TAGPOOL_PAGED, size, tag);
    ck_assert_ptr_nonnull(block);
    return block;
}

static uint32_t slot_of(tagpool_tag_t tag)
{
    return tp_tag_find(tag, TP_LAYOUT_PAGED);
}

struct known {
    uint32_t stack;
    size_t size;
};

static struct known track_of(void *block, tagpool_tag_t tag)
{
    struct tp_block_info info = tp_block_look_up(block);
    struct known known = {0};
    tp_track_find(info.page, info.index, slot_of(tag), &known.stack, &known.size);
    return known;
}

static struct tp_blame blame_of(const void *block)
{
    struct tp_blame blame;
    ck_assert(tp_blame_find(&blame, block));
    return blame;
}

/* --- records -------------------------------------------------------------------------------------------------- */

START_TEST(who_allocated_is_known_of_each_block)
{
    static void *blocks[MANY];
    begin("track");
    for (int i = 0; i < MANY; i++) {
        blocks[i] = make(SIZE - i % 7, TAG);
        ck_assert_uint_ne(track_of(blocks[i], TAG).stack, 0);
        ck_assert_uint_eq(track_of(blocks[i], TAG).size, SIZE - i % 7);
    }
    for (int i = 0; i < MANY; i++)
        ck_assert_uint_eq(track_of(blocks[i], TAG).size, SIZE - i % 7);
}
END_TEST

START_TEST(of_large_blocks_as_well)
{
    begin("track");
    void *block = make(LARGE, TAG);
    ck_assert_uint_ne(track_of(block, TAG).stack, 0);
    ck_assert_uint_ne(blame_of(block).alloc_stack, 0);
    ck_assert_uint_eq(blame_of(block).size, LARGE);
    tagpool_free(block);
}
END_TEST

START_TEST(blocks_are_as_long_as_ever)
{
    begin("track");
    void *block = make(SIZE, TAG);
    ck_assert_uint_eq(tagpool_size(block), 112);
    ck_assert_uint_eq(blame_of(block).size, SIZE);
    ck_assert_int_eq(blame_of(block).keeper, TAGPOOL_REPORT_ORDINARY);
}
END_TEST

START_TEST(a_block_that_is_resized_in_place_has_its_new_size)
{
    begin("track");
    void *block = make(SIZE, TAG);
    ck_assert_ptr_eq(tagpool_realloc(block, SIZE + 11), block);
    ck_assert_uint_eq(track_of(block, TAG).size, SIZE + 11);
}
END_TEST

/* What stands behind the contents of a hardened block begins within its first word. */
START_TEST(hardened_blocks_are_whole)
{
    begin("track harden");
    for (size_t size = 1; size < 64; size++) {
        void *blocks[3];
        for (int i = 0; i < 3; i++)
            blocks[i] = make(size, TAG);
        for (int i = 0; i < 3; i++) {
            ck_assert_uint_eq(track_of(blocks[i], TAG).size, size);
            tagpool_free(blocks[i]);
        }
    }
}
END_TEST

/* --- turns ---------------------------------------------------------------------------------------------------- */

static void check_forgotten(void *block)
{
    ck_assert_uint_eq(track_of(block, TAG).stack, 0);
    ck_assert_uint_eq(blame_of(block).alloc_stack, 0);
}

START_TEST(nothing_is_said_of_a_tag_that_is_tracked_no_more)
{
    begin("track tags=Trk");
    void *block = make(SIZE, TAG);
    tp_track_end(slot_of(TAG));
    check_forgotten(block);
    tp_track_begin(slot_of(TAG)); /* another turn: the block may be another one by now */
    check_forgotten(block);
}
END_TEST

START_TEST(nor_of_one_that_never_was)
{
    begin("track tags=Trk");
    void *block = make(SIZE, OTHER);
    ck_assert_uint_eq(blame_of(block).alloc_stack, 0);
}
END_TEST

START_TEST(a_turn_that_goes_on_keeps_its_number)
{
    begin("track tags=Trk");
    void *block = make(SIZE, TAG);
    tp_track_begin(slot_of(TAG));
    ck_assert_uint_ne(track_of(block, TAG).stack, 0);
}
END_TEST

START_TEST(turns_have_numbers_for_good)
{
    begin("track tags=Trk");
    make(SIZE, TAG);
    for (unsigned i = 0; i < 3 * TP_TRACK_TURNS; i++) {
        uint16_t before = tp_track_turns[slot_of(TAG)];
        tp_track_end(slot_of(TAG));
        tp_track_begin(slot_of(TAG));
        ck_assert_uint_ne(tp_track_turns[slot_of(TAG)], 0);
        ck_assert_uint_lt(tp_track_turns[slot_of(TAG)], TP_TRACK_TURNS);
        ck_assert_uint_ne(tp_track_turns[slot_of(TAG)], before);
    }
}
END_TEST

/* A block of a size that no rule asks for takes the place of one that was tracked. */
START_TEST(what_is_left_out_is_not_taken_for_the_block_before)
{
    static void *blocks[MANY];
    begin("track sizes=97-105");
    for (int i = 0; i < MANY; i++)
        ck_assert_uint_ne(track_of(blocks[i] = make(SIZE, TAG), TAG).stack, 0);
    for (int i = 0; i < MANY; i++)
        tagpool_free(blocks[i]);
    for (int i = 0; i < MANY; i++)
        ck_assert_uint_eq(track_of(make(SIZE + 10, TAG), TAG).stack, 0);
}
END_TEST

/* --- fast paths ----------------------------------------------------------------------------------------------- */

START_TEST(a_tag_is_counted_as_ever)
{
    static void *blocks[MANY];
    begin("track");
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < MANY; i++)
            blocks[i] = make(SIZE, TAG);
        for (int i = 0; i < MANY; i++)
            tagpool_free(blocks[i]);
    }
    struct tagpool_stats stats;
    ck_assert_int_eq(tagpool_stats(TAGPOOL_PAGED, TAG, &stats), 0);
    ck_assert_uint_eq(stats.allocs, 3 * MANY);
    ck_assert_uint_eq(stats.frees, 3 * MANY);
    ck_assert_uint_eq(stats.bytes, 0);
}
END_TEST

UNIT_MAIN("track", who_allocated_is_known_of_each_block, of_large_blocks_as_well, blocks_are_as_long_as_ever,
          a_block_that_is_resized_in_place_has_its_new_size, hardened_blocks_are_whole,
          nothing_is_said_of_a_tag_that_is_tracked_no_more, nor_of_one_that_never_was,
          a_turn_that_goes_on_keeps_its_number, turns_have_numbers_for_good,
          what_is_left_out_is_not_taken_for_the_block_before, a_tag_is_counted_as_ever)
