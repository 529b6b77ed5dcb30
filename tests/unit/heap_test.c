/*
 * E1 to E3 and what a class must do for pages of its own: by one thread, and by many that follow each other.
 */
#include "unit.h"

#include "alloc.h"
#include "fast.h"

#include <tagpool/tagpool.h>

#include <pthread.h>

#define TAG TAGPOOL_TAG('H', 'e', 'a', 'p')
enum { SIZE = 64, BLOCKS = 3000, FEW = 200 };

static char *blocks[BLOCKS];

static char *alloc_one(void)
{
    char *block = tagpool_alloc(TAGPOOL_PAGED, SIZE, TAG);
    ck_assert_ptr_nonnull(block);
    return block;
}

static void alloc_blocks(int count)
{
    for (int i = 0; i < count; i++)
        blocks[i] = alloc_one();
}

static void free_blocks(int count)
{
    for (int i = 0; i < count; i++)
        tagpool_free(blocks[i]);
}

static struct tp_page *page_of(const void *block)
{
    return tp_block_look_up(block).page;
}

static bool is_mixed(const void *block)
{
    return tp_page_is_mixed(page_of(block));
}

START_TEST(a_busy_class_gets_pages_of_its_own)
{
    alloc_blocks(BLOCKS);
    ck_assert(is_mixed(blocks[0]));
    ck_assert(!is_mixed(blocks[BLOCKS - 1]));
    free_blocks(BLOCKS);
}
END_TEST

static void *short_life(void *last)
{
    for (int i = 0; i < FEW; i++) {
        char *block = alloc_one();
        *(bool *)last = is_mixed(block);
        tagpool_free(block);
    }
    return NULL;
}

static bool thread_ends_mixed(void)
{
    bool mixed = true;
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, short_life, &mixed), 0);
    pthread_join(thread, NULL);
    return mixed;
}

START_TEST(short_threads_earn_pages_together)
{
    ck_assert(thread_ends_mixed());
    for (int i = 0; i < 40; i++)
        thread_ends_mixed();
    ck_assert(!thread_ends_mixed());
}
END_TEST

/* The newest page of its own that ran full: blocks[*at] lies on it. */
static struct tp_page *full_page(int *at)
{
    struct tp_page *current = page_of(blocks[BLOCKS - 1]);
    for (*at = BLOCKS - 1; *at >= 0; --*at)
        if (page_of(blocks[*at]) != current && !is_mixed(blocks[*at]))
            return page_of(blocks[*at]);
    ck_abort_msg("no page ran full");
}

START_TEST(a_full_page_opens_at_its_first_free)
{
    int at;
    alloc_blocks(BLOCKS);
    struct tp_page *page = full_page(&at);
    ck_assert(tp_page_is_full(page));
    ck_assert_uint_eq(page->used, page->capacity);
    tagpool_free(blocks[at]);
    ck_assert(!tp_page_is_full(page));
    ck_assert_uint_eq(page->used, page->capacity - 1);
    tp_page_check(page);
    blocks[at] = alloc_one();
    free_blocks(BLOCKS);
}
END_TEST

UNIT_MAIN("heap", a_busy_class_gets_pages_of_its_own, short_threads_earn_pages_together,
          a_full_page_opens_at_its_first_free)
