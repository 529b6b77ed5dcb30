/*
 * R1: an inventory of an image that is damaged anywhere ends, and reads no address of it without a check.
 *
 * The image is the test's own memory, read by a system call that says where there is none.
 */
#include "dice.h"
#include "unit.h"

#include "leak.h"
#include "mark.h"

#include <tagpool.h>
#include <tagpool/lookaside.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#define TAG TAGPOOL_TAG('I', 'n', 'v', ' ')
enum { BLOCKS = 600, ROUNDS = 150, PIECES = 32 };

struct own_image {
    struct tp_image image;
    struct dice *dice; /* NULL: nothing is damaged */
    uint32_t one_in;
    struct iovec pieces[PIECES];
    size_t count;
};

static void damage(struct own_image *own, unsigned char *bytes, size_t size)
{
    static const unsigned char values[] = {0, 1, 0x7f, 0x80, 0xff};
    for (size_t i = 0; i < size; i++)
        if (dice_below(own->dice, own->one_in) == 0)
            bytes[i] = dice_below(own->dice, 2) == 0 ? values[dice_below(own->dice, sizeof(values))]
                                                     : (unsigned char)dice_below(own->dice, 256);
}

static bool read_own(struct tp_image *image, const struct tp_image_range *ranges, unsigned count, void *to)
{
    struct own_image *own = (struct own_image *)image;
    char *at = to;
    for (unsigned i = 0; i < count; at += ranges[i++].size) {
        struct iovec here = {at, ranges[i].size}, there = {(void *)ranges[i].at, ranges[i].size};
        if (process_vm_readv(getpid(), &here, 1, &there, 1, 0) != (ssize_t)ranges[i].size)
            return false;
    }
    if (own->dice != NULL)
        damage(own, to, (size_t)(at - (char *)to));
    return true;
}

static bool read_no_pages(struct tp_image *image, uintptr_t at, size_t count, uint64_t *entries)
{
    return false;
}

static int read_no_maps(struct tp_image *image, char *to, size_t size)
{
    return 0;
}

static void *take(struct tp_image *image, size_t size)
{
    struct own_image *own = (struct own_image *)image;
    void *p = own->count < PIECES && size < (size_t)1 << 40
                  ? mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
                  : MAP_FAILED;
    if (p == MAP_FAILED)
        return NULL;
    own->pieces[own->count++] = (struct iovec){p, size};
    return p;
}

static struct own_image image_of(struct dice *dice, uint32_t one_in)
{
    return (struct own_image){{read_own, read_no_pages, read_no_maps, take}, dice, one_in, {{NULL, 0}}, 0};
}

static void give_back(struct own_image *own)
{
    for (size_t i = 0; i < own->count; i++)
        munmap(own->pieces[i].iov_base, own->pieces[i].iov_len);
}

static void *blocks[BLOCKS];

/* Pages of all kinds, and lists of freed blocks. */
static void fill_heap(void)
{
    for (int i = 0; i < BLOCKS; i++)
        blocks[i] = tagpool_alloc(i % 50 == 7 ? TAGPOOL_NONPAGED : TAGPOOL_PAGED,
                                  (size_t)(i % 97 == 0 ? 200000 : i % 5 * 300 + 20),
                                  i % 3 == 0 ? TAG : TAG + (uint32_t)(i % 7));
    for (int i = 0; i < BLOCKS; i += 3)
        tagpool_free(blocks[i]);
}

static void count_node(const struct tp_inventory_node *node, void *argument)
{
    ++*(size_t *)argument;
}

/* What an inquest does, but for the mappings. */
static void use(struct own_image *own, struct tp_inventory *inventory)
{
    struct tp_mark mark;
    size_t nodes = 0;
    ck_assert_int_eq(tp_mark_begin(&mark, inventory), 0);
    for (int i = 0; i < BLOCKS; i++) {
        uintptr_t words[] = {(uintptr_t)blocks[i], (uintptr_t)blocks[i] + 24, (uintptr_t)blocks[i] + 70000};
        tp_mark_words(&mark, words, 3);
        tp_mark_rest(&mark, words[1]);
    }
    tp_mark_finish(&mark);
    tp_inventory_each(inventory, count_node, &nodes);
    ck_assert_uint_le(nodes, inventory->node_count);
}

static void survive(const char *words, uint32_t one_in)
{
    struct dice dice = dice_from_environment();
    if (words != NULL)
        setenv("TAGPOOL_VERIFY", words, 1);
    fill_heap();
    int made = 0;
    for (int round = 0; round < ROUNDS; round++) {
        struct own_image own = image_of(&dice, one_in);
        struct tp_inventory inventory;
        if (tp_inventory_make(&inventory, &own.image, (uintptr_t)&tp_chart) == 0) {
            made++;
            use(&own, &inventory);
        }
        give_back(&own);
    }
    ck_assert_int_gt(made, 0);
}

START_TEST(damaged_pages_are_survived)
{
    survive(NULL, 3000);
}
END_TEST

START_TEST(damaged_tables_of_checked_blocks_are_survived)
{
    survive("special=sample:3 watch track", 3000);
}
END_TEST

START_TEST(a_chart_of_another_version_is_none)
{
    struct own_image own = image_of(NULL, 0);
    struct tp_leak_result *result = malloc(sizeof(*result));
    struct tp_chart other = tp_chart;
    struct tp_leak_look look = {.image = &own.image};
    fill_heap();
    ck_assert_int_eq(tp_leak_find(&look, result), -EPROTO);
    other.version++;
    look.chart = (uintptr_t)&other;
    ck_assert_int_eq(tp_leak_find(&look, result), -EPROTO);
    other = tp_chart;
    other.sizes[3]++;
    ck_assert_int_eq(tp_leak_find(&look, result), -EPROTO);
    look.chart = (uintptr_t)&tp_chart;
    ck_assert_int_eq(tp_leak_find(&look, result), -ENOENT); /* there are no mappings */
    give_back(&own);
    free(result);
}
END_TEST

START_TEST(whatever_cannot_be_had_is_an_error)
{
    fill_heap();
    struct own_image all = image_of(NULL, 0);
    struct tp_inventory inventory;
    ck_assert_int_eq(tp_inventory_make(&inventory, &all.image, (uintptr_t)&tp_chart), 0);
    for (size_t left = 0; left < all.count; left++) {
        struct own_image own = image_of(NULL, 0);
        own.count = PIECES - left;
        ck_assert_int_eq(tp_inventory_make(&inventory, &own.image, (uintptr_t)&tp_chart), -ENOMEM);
    }
    give_back(&all);
}
END_TEST

UNIT_MAIN("inventory", damaged_pages_are_survived, damaged_tables_of_checked_blocks_are_survived,
          a_chart_of_another_version_is_none, whatever_cannot_be_had_is_an_error)
