/*
 * Every function of tagpool.h against what the header promises.
 */
#include "segment.h"
#include "unit.h"

#include "child.h"
#include "fatal.h"

#include <tagpool.h>

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define TAG TAGPOOL_TAG('C', 'o', 'n', 'n')
#define OTHER TAGPOOL_TAG('O', 't', 'h', 'e')
enum { PAGE = 4096 };

static const tagpool_kind_t kinds[] = {TAGPOOL_NONPAGED, TAGPOOL_PAGED};

static void check_stats(tagpool_kind_t kind, tagpool_tag_t tag, uint64_t allocs, uint64_t frees, uint64_t bytes)
{
    struct tagpool_stats stats;
    ck_assert_int_eq(tagpool_stats(kind, tag, &stats), 0);
    ck_assert_uint_eq(stats.allocs, allocs);
    ck_assert_uint_eq(stats.frees, frees);
    ck_assert_uint_eq(stats.bytes, bytes);
    ck_assert_uint_ge(stats.peak_bytes, stats.bytes);
}

/* The rules of the pool kinds: what is aligned to what, and what may straddle a page. */
static void check_place(const void *block, size_t size)
{
    uintptr_t at = (uintptr_t)block;
    ck_assert_ptr_nonnull(block);
    ck_assert_uint_ge(tagpool_size(block), size);
    ck_assert_uint_eq(at % 16, 0);
    if (size < PAGE)
        ck_assert_uint_eq(at / PAGE, (at + (size > 0 ? size : 1) - 1) / PAGE);
    else
        ck_assert_uint_eq(at % PAGE | tagpool_size(block) % PAGE, 0);
}

START_TEST(blocks_lie_as_the_pool_routines_say)
{
    for (size_t k = 0; k < 2; k++)
        for (size_t size = 0; size <= 150000; size = size < 5000 ? size + 1 : size + 1237) {
            void *blocks[3];
            for (int i = 0; i < 3; i++) {
                blocks[i] = tagpool_alloc(kinds[k], size, TAG);
                check_place(blocks[i], size);
                memset(blocks[i], 0xee, tagpool_size(blocks[i]));
                ck_assert_uint_eq(tagpool_tag_of(blocks[i]), TAG);
            }
            for (int i = 0; i < 3; i++)
                tagpool_free_tag(blocks[i], TAG);
        }
}
END_TEST

START_TEST(from_a_page_on_sizes_are_rounded_to_whole_pages)
{
    for (size_t pages = 1; pages <= 5; pages++) {
        void *block = tagpool_alloc(TAGPOOL_PAGED, pages * PAGE, TAG);
        ck_assert_uint_eq(tagpool_size(block), pages * PAGE);
        tagpool_free(block);
    }
    void *block = tagpool_alloc(TAGPOOL_PAGED, 1000001, TAG);
    ck_assert_uint_eq(tagpool_size(block), 1003520);
    tagpool_free(block);
}
END_TEST

START_TEST(alignments_are_kept)
{
    static const size_t sizes[] = {0, 1, 24, 100, 1000, 4000, 4096, 10000, 70000, 200000};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
        for (size_t alignment = 1; alignment <= (size_t)1 << 21; alignment *= 2) {
            void *first = tagpool_alloc_aligned(TAGPOOL_PAGED, alignment, sizes[i], TAG);
            void *second = tagpool_alloc_aligned(TAGPOOL_PAGED, alignment, sizes[i], TAG);
            check_place(first, sizes[i]);
            ck_assert_uint_eq((uintptr_t)first % alignment, 0);
            ck_assert_uint_eq((uintptr_t)second % alignment, 0);
            memset(second, 1, tagpool_size(second));
            tagpool_free(first);
            tagpool_free(second);
        }
}
END_TEST

static void expect_null(void *block, int error)
{
    ck_assert_ptr_null(block);
    ck_assert_int_eq(errno, error);
    errno = 0;
}

START_TEST(wrong_arguments_are_einval)
{
    static const tagpool_tag_t wrong[] = {0, TAGPOOL_TAG('a', 'b', 'c', 0x7f), TAGPOOL_TAG('a', 'b', 'c', '\n'),
                                          TAGPOOL_TAG(0xc3, 'b', 'c', 'd'), TAGPOOL_TAG('a', 0x1f, 'c', 'd')};
    errno = 0;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        expect_null(tagpool_alloc(TAGPOOL_PAGED, 10, wrong[i]), EINVAL);
        expect_null(tagpool_zalloc(TAGPOOL_NONPAGED, 10, wrong[i]), EINVAL);
        expect_null(tagpool_alloc_aligned(TAGPOOL_PAGED, 32, 10, wrong[i]), EINVAL);
        expect_null(tagpool_open(TAGPOOL_PAGED, wrong[i]), EINVAL);
    }
    expect_null(tagpool_alloc((tagpool_kind_t)2, 10, TAG), EINVAL);
    expect_null(tagpool_alloc((tagpool_kind_t)-1, 10, TAG), EINVAL);
    expect_null(tagpool_zalloc((tagpool_kind_t)512, 10, TAG), EINVAL);
    expect_null(tagpool_open((tagpool_kind_t)7, TAG), EINVAL);
    expect_null(tagpool_alloc_aligned(TAGPOOL_PAGED, 0, 10, TAG), EINVAL);
    expect_null(tagpool_alloc_aligned(TAGPOOL_PAGED, 24, 10, TAG), EINVAL);
    expect_null(tagpool_realloc(NULL, 10), EINVAL);
    ck_assert_ptr_nonnull(tagpool_alloc(TAGPOOL_PAGED, 1, TAGPOOL_TAG(' ', '~', ' ', ' ')));
}
END_TEST

START_TEST(what_no_machine_has_is_enomem)
{
    static const size_t sizes[] = {SIZE_MAX,     SIZE_MAX - 15,   SIZE_MAX - PAGE,
                                   SIZE_MAX / 2, (size_t)1 << 47, (size_t)1 << 46};
    errno = 0;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        expect_null(tagpool_alloc(TAGPOOL_PAGED, sizes[i], TAG), ENOMEM);
        expect_null(tagpool_zalloc(TAGPOOL_PAGED, sizes[i], TAG), ENOMEM);
        expect_null(tagpool_alloc_aligned(TAGPOOL_PAGED, 64, sizes[i], TAG), ENOMEM);
        expect_null(tagpool_alloc(TAGPOOL_NONPAGED, sizes[i], TAG), ENOMEM);
    }
    expect_null(tagpool_alloc_aligned(TAGPOOL_PAGED, (size_t)1 << 63, 10, TAG), ENOMEM);
    expect_null(tagpool_alloc_aligned(TAGPOOL_PAGED, (size_t)1 << 46, 10, TAG), ENOMEM);
    void *block = tagpool_alloc(TAGPOOL_PAGED, 100, TAG);
    expect_null(tagpool_realloc(block, SIZE_MAX - 1), ENOMEM);
    expect_null(tagpool_realloc(block, SIZE_MAX / 2), ENOMEM);
    ck_assert_uint_ge(tagpool_size(block), 100);
    void *large = tagpool_alloc(TAGPOOL_PAGED, 1000000, TAG);
    expect_null(tagpool_realloc(large, SIZE_MAX - 1), ENOMEM);
    expect_null(tagpool_realloc(large, SIZE_MAX), ENOMEM);
    check_stats(TAGPOOL_PAGED, TAG, 2, 0, tagpool_size(block) + tagpool_size(large));
}
END_TEST

static void check_zero(const unsigned char *block)
{
    size_t size = tagpool_size(block);
    for (size_t i = 0; i < size; i++)
        if (block[i] != 0)
            ck_abort_msg("byte %zu of %zu is %d", i, size, block[i]);
}

/* Each size once in fresh memory and then in memory that was used. */
static void check_zalloc(size_t size)
{
    tagpool_handle_t handle = tagpool_open(TAGPOOL_PAGED, TAG);
    for (int round = 0; round < 3; round++) {
        unsigned char *first = tagpool_zalloc(TAGPOOL_PAGED, size, TAG);
        unsigned char *second = tagpool_handle_zalloc(handle, size);
        check_zero(first);
        check_zero(second);
        memset(first, 0xff, tagpool_size(first));
        memset(second, 0xff, tagpool_size(second));
        tagpool_free(first);
        tagpool_free(second);
    }
}

START_TEST(zalloc_is_zero_to_the_last_byte)
{
    static const size_t sizes[] = {0, 1, 17, 100, 1361, 4095, 4097, 60000, 131072};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
        check_zalloc(sizes[i]);
}
END_TEST

START_TEST(large_zalloc_is_zero_to_the_last_byte)
{
    static const size_t sizes[] = {131073, 200000, 1000001};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
        check_zalloc(sizes[i]);
}
END_TEST

static void fill(unsigned char *block, size_t size)
{
    for (size_t i = 0; i < size; i++)
        block[i] = (unsigned char)(i * 7 + size);
}

static void check_filled(const unsigned char *block, size_t size, size_t upto)
{
    for (size_t i = 0; i < upto; i++)
        ck_assert_int_eq(block[i], (unsigned char)(i * 7 + size));
}

START_TEST(realloc_keeps_contents_tag_and_kind)
{
    static const size_t sizes[] = {1, 40, 100, 3000, 4096, 50000, 131072, 140000, 3000000};
    enum { COUNT = sizeof(sizes) / sizeof(sizes[0]) };
    for (size_t k = 0; k < 2; k++)
        for (int from = 0; from < COUNT; from++)
            for (int to = 0; to < COUNT; to++) {
                unsigned char *block = tagpool_alloc(kinds[k], sizes[from], TAG);
                fill(block, sizes[from]);
                unsigned char *moved = tagpool_realloc(block, sizes[to]);
                check_place(moved, sizes[to]);
                check_filled(moved, sizes[from], sizes[from] < sizes[to] ? sizes[from] : sizes[to]);
                ck_assert_uint_eq(tagpool_tag_of(moved), TAG);
                tagpool_free_tag(moved, TAG);
            }
    struct tagpool_stats stats;
    for (size_t k = 0; k < 2; k++) {
        ck_assert_int_eq(tagpool_stats(kinds[k], TAG, &stats), 0);
        ck_assert_uint_eq(stats.allocs, stats.frees);
        ck_assert_uint_eq(stats.bytes, 0);
    }
}
END_TEST

START_TEST(a_realloc_counts_when_it_moves)
{
    char *block = tagpool_alloc(TAGPOOL_PAGED, 1000, TAG);
    char *same = tagpool_realloc(block, tagpool_size(block));
    ck_assert_ptr_eq(same, block);
    check_stats(TAGPOOL_PAGED, TAG, 1, 0, tagpool_size(same));
    char *moved = tagpool_realloc(same, 2000);
    ck_assert_ptr_ne(moved, same);
    check_stats(TAGPOOL_PAGED, TAG, 2, 1, tagpool_size(moved));
    tagpool_free(moved);
    check_stats(TAGPOOL_PAGED, TAG, 2, 2, 0);
}
END_TEST

START_TEST(a_large_block_grows_in_place)
{
    char *block = tagpool_alloc(TAGPOOL_PAGED, 200000, TAG);
    fill((unsigned char *)block, 200000);
    char *grown = tagpool_realloc(block, 5000000);
    ck_assert_ptr_eq(grown, block); /* nothing lies behind it */
    check_filled((unsigned char *)grown, 200000, 200000);
    memset(grown, 1, tagpool_size(grown));
    check_stats(TAGPOOL_PAGED, TAG, 1, 0, tagpool_size(grown));
    char *less = tagpool_realloc(grown, 1000);
    ck_assert_ptr_ne(less, grown);
    check_stats(TAGPOOL_PAGED, TAG, 2, 1, tagpool_size(less));
}
END_TEST

static void free_as_other(void *block)
{
    tagpool_free_tag(block, OTHER);
}

START_TEST(the_wrong_tag_stops)
{
    static const size_t sizes[] = {10, 3000, 100000, 1000000};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        void *block = tagpool_alloc(TAGPOOL_PAGED, sizes[i], TAG);
        struct child_result result = child_run(free_as_other, block);
        char expected[128];
        snprintf(expected, sizeof(expected),
                 "*** STOP: 0x000000C2 (0x000000000000000A, 0x%016lX, 0x%016lX, 0x%016lX) "
                 "BAD_POOL_CALLER\n",
                 (unsigned long)block, (unsigned long)TAG, (unsigned long)OTHER);
        ck_assert_msg(child_stopped(&result, "CALLER_WRONG_TAG"), "%s", result.text);
        ck_assert_msg(strncmp(result.text, expected, strlen(expected)) == 0, "%s", result.text);
        ck_assert_msg(strstr(result.text, "tag Conn") != NULL, "%s", result.text);
        tagpool_free_tag(block, TAG);
    }
    tagpool_free_tag(NULL, TAG);
}
END_TEST

START_TEST(free_keeps_errno_and_takes_null)
{
    void *small = tagpool_alloc(TAGPOOL_PAGED, 10, TAG), *large = tagpool_alloc(TAGPOOL_PAGED, 1000000, TAG);
    errno = 4711;
    tagpool_free(small);
    tagpool_free(large);
    tagpool_free(NULL);
    ck_assert_int_eq(errno, 4711);
    ck_assert_uint_eq(tagpool_size(NULL), 0);
    check_stats(TAGPOOL_PAGED, TAG, 2, 2, 0);
}
END_TEST

START_TEST(what_is_no_block_has_no_tag)
{
    static int global;
    int local;
    ck_assert_uint_eq(tagpool_tag_of(NULL), 0);
    ck_assert_uint_eq(tagpool_tag_of(&local), 0);
    char *block = tagpool_alloc(TAGPOOL_PAGED, 100000, TAG);
    ck_assert_uint_eq(tagpool_tag_of(&global), 0);
    ck_assert_uint_eq(tagpool_tag_of(&local), 0);
    ck_assert_uint_eq(tagpool_tag_of((void *)-1), 0);
    tagpool_free(block);
    block = tagpool_alloc(TAGPOOL_PAGED, 1000000, TAG);
    tagpool_free(block);
    ck_assert_uint_eq(tagpool_tag_of(block), 0);
}
END_TEST

static void ask_tag_of_middle(void *block)
{
    if (tagpool_tag_of((char *)block + 8) != 0)
        _exit(1);
}

START_TEST(the_middle_of_a_block_has_no_tag_and_does_not_stop)
{
    void *block = tagpool_alloc(TAGPOOL_PAGED, 100, TAG);
    struct child_result result = child_run(ask_tag_of_middle, block);
    ck_assert_msg(child_succeeded(&result), "%s", result.text);
}
END_TEST

START_TEST(a_handle_is_its_tag_and_kind)
{
    tagpool_handle_t paged = tagpool_open(TAGPOOL_PAGED, TAG), nonpaged = tagpool_open(TAGPOOL_NONPAGED, TAG);
    ck_assert_ptr_nonnull(paged);
    ck_assert_ptr_ne(paged, nonpaged);
    ck_assert_ptr_eq(tagpool_open(TAGPOOL_PAGED, TAG), paged);
    size_t bytes = 0;
    for (int i = 0; i < 1000; i++) {
        void *block = tagpool_handle_alloc(paged, (size_t)i * 5);
        check_place(block, (size_t)i * 5);
        ck_assert_uint_eq(tagpool_tag_of(block), TAG);
        bytes += tagpool_size(block);
    }
    check_stats(TAGPOOL_PAGED, TAG, 1000, 0, bytes);
    ck_assert_ptr_nonnull(tagpool_handle_zalloc(nonpaged, 100));
    check_stats(TAGPOOL_NONPAGED, TAG, 1, 0, 112);
}
END_TEST

START_TEST(tags_and_kinds_are_counted_apart)
{
    struct tagpool_stats stats;
    errno = 0;
    ck_assert_int_eq(tagpool_stats(TAGPOOL_PAGED, TAG, &stats), -1);
    ck_assert_int_eq(errno, ENOENT);
    void *blocks[500];
    for (int i = 0; i < 500; i++)
        blocks[i] = tagpool_alloc(i % 5 == 0 ? TAGPOOL_NONPAGED : TAGPOOL_PAGED, 64, i % 2 == 0 ? TAG : OTHER);
    check_stats(TAGPOOL_PAGED, TAG, 200, 0, 200 * 64);
    check_stats(TAGPOOL_PAGED, OTHER, 200, 0, 200 * 64);
    check_stats(TAGPOOL_NONPAGED, TAG, 50, 0, 50 * 64);
    for (int i = 0; i < 500; i += 2)
        tagpool_free(blocks[i]);
    check_stats(TAGPOOL_PAGED, TAG, 200, 200, 0);
    check_stats(TAGPOOL_NONPAGED, TAG, 50, 50, 0);
    check_stats(TAGPOOL_PAGED, OTHER, 200, 0, 200 * 64);
}
END_TEST

START_TEST(the_peak_stays)
{
    void *block = tagpool_alloc(TAGPOOL_PAGED, 1000000, TAG);
    tagpool_free(block);
    block = tagpool_alloc(TAGPOOL_PAGED, 200000, TAG);
    struct tagpool_stats stats;
    ck_assert_int_eq(tagpool_stats(TAGPOOL_PAGED, TAG, &stats), 0);
    ck_assert_uint_eq(stats.bytes, 200704);
    ck_assert_uint_eq(stats.peak_bytes, 1003520);
}
END_TEST

static void *free_it(void *block)
{
    tagpool_free(block);
    return NULL;
}

START_TEST(any_thread_may_free)
{
    enum { COUNT = 100 };
    for (int i = 0; i < COUNT; i++) {
        pthread_t thread;
        ck_assert_int_eq(pthread_create(&thread, NULL, free_it, tagpool_alloc(TAGPOOL_PAGED, 500, TAG)), 0);
        pthread_join(thread, NULL);
    }
    check_stats(TAGPOOL_PAGED, TAG, COUNT, COUNT, 0);
}
END_TEST

/* In a child: 0 when the accounts are as told. */
static int stats_differ(uint64_t allocs, uint64_t frees)
{
    struct tagpool_stats stats;
    if (tagpool_stats(TAGPOOL_PAGED, TAG, &stats) != 0)
        return 1;
    return stats.allocs != allocs || stats.frees != frees;
}

static int in_child(int (*work)(void **blocks), void **blocks)
{
    pid_t pid = fork();
    if (pid == 0)
        _exit(work(blocks));
    int status = -1;
    return waitpid(pid, &status, 0) == pid ? status : -1;
}

static int use_in_child(void **blocks)
{
    tagpool_free(blocks[0]);
    if (stats_differ(300, 1))
        return 1;
    if (tagpool_alloc(TAGPOOL_PAGED, 10, TAG) == NULL || stats_differ(301, 1))
        return 2;
    for (int i = 1; i < 300; i++)
        tagpool_free(blocks[i]);
    return stats_differ(301, 300) ? 3 : 0;
}

static int look_in_child(void **blocks)
{
    (void)blocks;
    return stats_differ(300, 0);
}

/* 300 live ones, after 100 that are gone. */
static void alloc_for_child(void **blocks)
{
    for (int i = 0; i < 400; i++) {
        void *block = tagpool_alloc(TAGPOOL_PAGED, (size_t)i * 20, TAG);
        if (i < 300)
            blocks[i] = block;
        else
            tagpool_free(block);
    }
}

START_TEST(a_child_s_accounts_start_with_what_is_live)
{
    void *blocks[300];
    alloc_for_child(blocks);
    ck_assert_int_eq(in_child(use_in_child, blocks), 0);
    struct tagpool_stats stats;
    ck_assert_int_eq(tagpool_stats(TAGPOOL_PAGED, TAG, &stats), 0);
    ck_assert_uint_eq(stats.allocs, 400);
    ck_assert_uint_eq(stats.frees, 100);
}
END_TEST

START_TEST(a_child_that_only_looks_sees_the_same)
{
    void *blocks[300];
    alloc_for_child(blocks);
    ck_assert_int_eq(in_child(look_in_child, blocks), 0);
}
END_TEST

static void *free_some(void *argument)
{
    void **blocks = argument;
    for (int i = 300; i < 400; i++)
        tagpool_free(blocks[i]);
    return NULL;
}

/* What another thread freed is not live, also when its owner has not looked yet. */
START_TEST(a_child_s_accounts_leave_out_what_waits_in_the_mail)
{
    void *blocks[400];
    pthread_t thread;
    for (int i = 0; i < 400; i++)
        blocks[i] = tagpool_alloc(TAGPOOL_PAGED, 64, TAG);
    pthread_create(&thread, NULL, free_some, blocks);
    pthread_join(thread, NULL);
    ck_assert_int_eq(in_child(use_in_child, blocks), 0);
}
END_TEST

enum { ADOPTERS = 8, ADOPTER_BLOCKS = 1000 };

static void *alloc_in_adopter(void *argument)
{
    for (int i = 0; i < ADOPTER_BLOCKS; i++)
        if (tagpool_alloc(TAGPOOL_PAGED, (size_t)i, TAG) == NULL)
            return argument;
    return NULL;
}

/* The child's first calls come from many threads at once. */
static int start_threads_in_child(void **blocks)
{
    struct tagpool_stats stats;
    pthread_t threads[ADOPTERS];
    int failed = blocks == NULL;
    for (int i = 0; i < ADOPTERS; i++)
        pthread_create(&threads[i], NULL, alloc_in_adopter, &failed);
    for (int i = 0; i < ADOPTERS; i++) {
        void *result;
        pthread_join(threads[i], &result);
        failed |= result != NULL;
    }
    if (failed || tagpool_stats(TAGPOOL_PAGED, TAG, &stats) != 0)
        return 1;
    return stats.allocs == 300 + ADOPTERS * ADOPTER_BLOCKS && stats.frees == 0 ? 0 : 2;
}

START_TEST(threads_of_a_child_may_all_be_its_first)
{
    void *blocks[300];
    alloc_for_child(blocks);
    for (int i = 0; i < 10; i++)
        ck_assert_int_eq(in_child(start_threads_in_child, blocks), 0);
}
END_TEST

START_TEST(no_handle_is_einval)
{
    errno = 0;
    ck_assert_ptr_null(tagpool_handle_alloc(NULL, 10));
    ck_assert_int_eq(errno, EINVAL);
    errno = 0;
    ck_assert_ptr_null(tagpool_handle_zalloc(NULL, 10));
    ck_assert_int_eq(errno, EINVAL);
}
END_TEST

static int look_at_one_in_child(void **blocks)
{
    (void)blocks;
    return stats_differ(1, 0);
}

/* No block of a mixed page is live: the child has no tallies to read. */
START_TEST(a_child_that_inherits_large_blocks_alone_can_look)
{
    void *block = tagpool_alloc(TAGPOOL_PAGED, 300000, TAG);
    ck_assert_int_eq(in_child(look_at_one_in_child, &block), 0);
    tagpool_free(block);
}
END_TEST

/* The parent's accounts go on growing: what the child copies of them is what there was at the fork. */
START_TEST(a_child_may_look_long_after_it_was_made)
{
    int ends[2];
    char byte;
    void *first = tagpool_alloc(TAGPOOL_PAGED, 1000, TAG);
    ck_assert_int_eq(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        close(ends[1]);
        if (read(ends[0], &byte, 1) != 0)
            _exit(9);
        int differ = stats_differ(1, 0);
        bool too_much = tp_segment->touched_bytes > 1 << 20 || tp_segment->region[1].used_total > 100;
        _exit(differ != 0 ? 1 : too_much ? 2 : 0);
    }
    close(ends[0]);
    for (int i = 0; i < 100000; i++)
        ck_assert_ptr_nonnull(tagpool_alloc(TAGPOOL_PAGED, 1000, TAG));
    close(ends[1]);
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    tagpool_free(first);
}
END_TEST

/* Tags beyond the table's end share a slot: a block is freed under the tag it was asked for all the same. */
START_TEST(the_right_tag_frees_where_the_table_of_tags_is_full)
{
    tagpool_limit_t limit = {.hard = 1 << 20};
    tagpool_limit_state_t state;
    for (unsigned i = 0; i < 17000; i++) {
        tagpool_tag_t tag = TAGPOOL_TAG('t', '0' + i / 4096, ' ' + i / 64 % 64, ' ' + i % 64);
        void *block = tagpool_alloc(TAGPOOL_PAGED, 16, tag);
        ck_assert_ptr_nonnull(block);
        tagpool_free_tag(block, tag);
    }
    errno = 0;
    ck_assert_int_eq(tagpool_limit_tag(TAGPOOL_PAGED, TAG, &limit), -1);
    ck_assert_int_eq(errno, ENOMEM);
    ck_assert_int_eq(tagpool_limit_tag_state(TAGPOOL_PAGED, TAG, &state), -1);
}
END_TEST

UNIT_MAIN("tagpool", blocks_lie_as_the_pool_routines_say, from_a_page_on_sizes_are_rounded_to_whole_pages,
          alignments_are_kept, wrong_arguments_are_einval, what_no_machine_has_is_enomem,
          zalloc_is_zero_to_the_last_byte, large_zalloc_is_zero_to_the_last_byte, realloc_keeps_contents_tag_and_kind,
          a_realloc_counts_when_it_moves, a_large_block_grows_in_place, the_wrong_tag_stops,
          free_keeps_errno_and_takes_null, what_is_no_block_has_no_tag,
          the_middle_of_a_block_has_no_tag_and_does_not_stop, a_handle_is_its_tag_and_kind,
          tags_and_kinds_are_counted_apart, the_peak_stays, any_thread_may_free,
          a_child_s_accounts_start_with_what_is_live, a_child_that_only_looks_sees_the_same,
          a_child_that_inherits_large_blocks_alone_can_look, a_child_may_look_long_after_it_was_made,
          the_right_tag_frees_where_the_table_of_tags_is_full,
          a_child_s_accounts_leave_out_what_waits_in_the_mail, threads_of_a_child_may_all_be_its_first,
          no_handle_is_einval)
