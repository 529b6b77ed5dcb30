/*
 * The nonpaged pool: locked, bounded by RLIMIT_MEMLOCK, and past the bound nothing but NULL and ENOMEM.
 */
#include "unit.h"

#include "nonpaged.h"
#include "segment.h"
#include "span.h"

#include <tagpool/tagpool.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#define TAG TAGPOOL_TAG('N', 'o', 'n', 'p')
#define LIMIT (256 * TP_KIB)
enum { MOST = 20000 };

static void *blocks[MOST];

static void limit_locked(size_t bytes)
{
    struct rlimit limit = {bytes, bytes};
    ck_assert_int_eq(setrlimit(RLIMIT_MEMLOCK, &limit), 0);
}

/* What the system says this process has locked. */
static size_t locked_by_system(void)
{
    char line[256];
    size_t kib = SIZE_MAX;
    FILE *status = fopen("/proc/self/status", "r");
    while (fgets(line, sizeof(line), status) != NULL)
        if (sscanf(line, "VmLck: %zu", &kib) == 1)
            break;
    fclose(status);
    return kib * TP_KIB;
}

static void *nonpaged(size_t size)
{
    errno = 0;
    void *block = tagpool_alloc(TAGPOOL_NONPAGED, size, TAG);
    if (block == NULL)
        ck_assert_int_eq(errno, ENOMEM);
    else
        memset(block, 0x5a, tagpool_size(block));
    return block;
}

/* As many as there are, and one more that there is not. */
static int exhaust(size_t size)
{
    int count = 0;
    while (count < MOST && (blocks[count] = nonpaged(size)) != NULL)
        count++;
    ck_assert_int_lt(count, MOST);
    return count;
}

static void give_back(int count)
{
    while (count > 0)
        tagpool_free(blocks[--count]);
}

static uint64_t live_blocks(void)
{
    struct tagpool_stats stats;
    ck_assert_int_eq(tagpool_stats(TAGPOOL_NONPAGED, TAG, &stats), 0);
    return stats.allocs - stats.frees;
}

static void exhaust_and_return(size_t size)
{
    limit_locked(LIMIT);
    int count = exhaust(size);
    ck_assert_int_ge((size_t)count * size, LIMIT / 2);
    ck_assert_uint_le(tp_segment->locked_bytes, LIMIT);
    ck_assert_uint_eq(tp_segment->locked_bytes, locked_by_system());
    ck_assert_uint_eq(live_blocks(), count);
    void *paged = tagpool_alloc(TAGPOOL_PAGED, size, TAG);
    ck_assert_ptr_nonnull(paged);
    tagpool_free(paged);
    give_back(count);
    ck_assert_uint_eq(live_blocks(), 0);
    ck_assert_int_ge(exhaust(size), count);
}

START_TEST(small_blocks)
{
    exhaust_and_return(100);
}
END_TEST

START_TEST(pages)
{
    exhaust_and_return(TP_OS_PAGE);
}
END_TEST

START_TEST(several_pages)
{
    exhaust_and_return(3 * TP_OS_PAGE);
}
END_TEST

START_TEST(large_blocks)
{
    limit_locked(LIMIT);
    ck_assert_ptr_null(nonpaged(LIMIT + 1));
    void *block = nonpaged(LIMIT - 4 * TP_OS_PAGE);
    ck_assert_ptr_nonnull(block);
    ck_assert_uint_eq(tp_segment->locked_bytes, locked_by_system());
    ck_assert_ptr_null(nonpaged(140 * TP_KIB));
    tagpool_free(block);
    ck_assert_uint_eq(tp_segment->locked_bytes, 0);
    ck_assert_uint_eq(locked_by_system(), 0);
}
END_TEST

START_TEST(all_of_it_is_unlocked_in_the_end)
{
    static const size_t sizes[] = {16, 100, 1000, 1360, 2048, 4096, 5 * 4096, 100000, 200000};
    limit_locked(8 * TP_MIB);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        int count = 0;
        while (count < 300 && (size_t)count * sizes[i] < 4 * TP_MIB)
            blocks[count++] = nonpaged(sizes[i]);
        ck_assert_ptr_nonnull(blocks[count - 1]);
        ck_assert_uint_eq(tp_segment->locked_bytes, locked_by_system());
        give_back(count);
        ck_assert_uint_eq(tp_segment->locked_bytes, 0);
        ck_assert_uint_eq(locked_by_system(), 0);
    }
}
END_TEST

/* A caller that tries again and again while there is none must not use anything up. */
static void fail_often(size_t size)
{
    limit_locked(LIMIT);
    int count = exhaust(size);
    size_t before = tp_span_used_bytes();
    for (int i = 0; i < 1000; i++)
        ck_assert_ptr_null(nonpaged(size));
    ck_assert_uint_eq(tp_span_used_bytes(), before);
    give_back(count);
}

START_TEST(failing_costs_nothing_small)
{
    fail_often(64);
}
END_TEST

START_TEST(failing_costs_nothing_medium)
{
    fail_often(2 * TP_OS_PAGE);
}
END_TEST

START_TEST(failing_costs_nothing_large)
{
    fail_often(140 * TP_KIB);
}
END_TEST

START_TEST(no_limit_at_all_means_none)
{
    limit_locked(0);
    ck_assert_ptr_null(nonpaged(16));
    ck_assert_ptr_null(nonpaged(TP_OS_PAGE));
    ck_assert_ptr_null(nonpaged(TP_MIB));
    ck_assert_ptr_nonnull(tagpool_alloc(TAGPOOL_PAGED, 16, TAG));
}
END_TEST

START_TEST(a_realloc_that_fails_leaves_the_block)
{
    limit_locked(LIMIT);
    char *block = nonpaged(1000);
    memset(block, 0x77, 1000);
    errno = 0;
    ck_assert_ptr_null(tagpool_realloc(block, LIMIT));
    ck_assert_int_eq(errno, ENOMEM);
    for (int i = 0; i < 1000; i++)
        ck_assert_int_eq(block[i], 0x77);
    ck_assert_uint_eq(live_blocks(), 1);
    tagpool_free(block);
}
END_TEST

UNIT_MAIN("nonpaged", small_blocks, pages, several_pages, large_blocks, all_of_it_is_unlocked_in_the_end,
          failing_costs_nothing_small, failing_costs_nothing_medium, failing_costs_nothing_large,
          no_limit_at_all_means_none, a_realloc_that_fails_leaves_the_block)
