/*
 * Q1 to Q3 and the rules of the public header, step by step.
 */
#include "fault.h"
#include "unit.h"

#include <tagpool/scope.h>

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define TAG TAGPOOL_TAG('S', 'c', 'T', '1')
#define OTHER TAGPOOL_TAG('S', 'c', 'T', '2')

/* As the header says. */
enum { FIRST = 1024, MOST = 65536, PIECE_MOST = 16384, SCOPE = 512, OS_PAGE = 4096 };

static struct tagpool_stats stats_of(tagpool_kind_t kind, tagpool_tag_t tag)
{
    struct tagpool_stats now = {0, 0, 0, 0};
    if (tagpool_stats(kind, tag, &now) != 0)
        ck_assert_int_eq(errno, ENOENT);
    return now;
}

static uint64_t live_bytes(tagpool_tag_t tag)
{
    return stats_of(TAGPOOL_PAGED, tag).bytes;
}

static uint64_t allocs(tagpool_tag_t tag)
{
    return stats_of(TAGPOOL_PAGED, tag).allocs;
}

static void check_nothing_is_live(void)
{
    const tagpool_tag_t tags[] = {TAG, OTHER, TAGPOOL_SCOPE_TAG};
    for (int kind = TAGPOOL_NONPAGED; kind <= TAGPOOL_PAGED; kind++)
        for (size_t i = 0; i < sizeof(tags) / sizeof(tags[0]); i++) {
            struct tagpool_stats now = stats_of((tagpool_kind_t)kind, tags[i]);
            ck_assert_uint_eq(now.allocs, now.frees);
            ck_assert_uint_eq(now.bytes, 0);
        }
}

static tagpool_scope_t *create(tagpool_scope_t *parent)
{
    tagpool_scope_t *scope = tagpool_scope_create(parent);
    ck_assert_ptr_nonnull(scope);
    return scope;
}

static char *take(tagpool_scope_t *scope, size_t size)
{
    char *block = tagpool_scope_alloc(scope, TAGPOOL_PAGED, size, TAG);
    ck_assert_ptr_nonnull(block);
    ck_assert_uint_eq((uintptr_t)block % 16, 0);
    memset(block, 'x', size);
    return block;
}

static bool holds(const void *block, int byte, size_t size)
{
    const unsigned char *at = block;
    while (size > 0 && *at == byte)
        at++, size--;
    return size == 0;
}

/* --- blocks --------------------------------------------------------------------------------------------------- */

START_TEST(blocks_lie_apart)
{
    enum { BLOCKS = 3000 };
    static unsigned char *blocks[BLOCKS];
    tagpool_scope_t *scope = create(NULL);
    for (int i = 0; i < BLOCKS; i++) {
        blocks[i] = (unsigned char *)take(scope, (size_t)i);
        memset(blocks[i], i % 251, (size_t)i);
    }
    for (int i = 0; i < BLOCKS; i++)
        ck_assert(holds(blocks[i], i % 251, (size_t)i));
    ck_assert_ptr_ne(blocks[0], blocks[1]);
    tagpool_scope_destroy(scope);
    check_nothing_is_live();
}
END_TEST

START_TEST(what_is_counted_is_chunks)
{
    tagpool_scope_t *scope = create(NULL);
    ck_assert_uint_eq(live_bytes(TAGPOOL_SCOPE_TAG), SCOPE);
    for (int i = 0; i < 8; i++)
        take(scope, 100);
    ck_assert_uint_eq(allocs(TAG), 1);
    ck_assert_uint_eq(live_bytes(TAG), FIRST);
    ck_assert_ptr_nonnull(tagpool_scope_alloc(scope, TAGPOOL_PAGED, 100, OTHER));
    ck_assert_uint_eq(live_bytes(OTHER), FIRST);
    ck_assert_uint_eq(live_bytes(TAGPOOL_SCOPE_TAG), SCOPE);
    tagpool_scope_destroy(scope);
    check_nothing_is_live();
}
END_TEST

/* Each chunk is about as long as all before it; about half is used at worst, and no chunk is longer than the limit. */
START_TEST(a_row_grows_to_its_limit)
{
    tagpool_scope_t *scope = create(NULL);
    uint64_t before = 0, chunk = 0, used = 0;
    for (int i = 0; i < 1000; i++) {
        take(scope, 1008);
        used += 1008;
        uint64_t now = live_bytes(TAG);
        ck_assert_uint_le(now, 2 * used + MOST);
        if (now != before) {
            ck_assert_uint_ge(now - before, chunk);
            ck_assert_uint_le(now - before, MOST);
            chunk = now - before;
        }
        before = now;
    }
    ck_assert_uint_eq(chunk, MOST);
    ck_assert_uint_le(allocs(TAG), 8 + 1000 * 1008 / MOST + 1);
    tagpool_scope_destroy(scope);
    check_nothing_is_live();
}
END_TEST

/* Two rows in turn find their own chunks each time. */
START_TEST(rows_do_not_mix)
{
    tagpool_scope_t *scope = create(NULL);
    for (int i = 0; i < 60; i++)
        ck_assert_ptr_nonnull(tagpool_scope_alloc(scope, TAGPOOL_PAGED, 16, i % 2 == 0 ? TAG : OTHER));
    ck_assert_uint_eq(live_bytes(TAG), FIRST);
    ck_assert_uint_eq(live_bytes(OTHER), FIRST);
    tagpool_scope_destroy(scope);
}
END_TEST

START_TEST(a_long_request_has_its_own_block)
{
    tagpool_scope_t *scope = create(NULL);
    take(scope, 100);
    char *block = take(scope, PIECE_MOST + 1);
    ck_assert_uint_eq((uintptr_t)block % OS_PAGE, 0);
    ck_assert_uint_eq(live_bytes(TAG), FIRST + PIECE_MOST + OS_PAGE);
    take(scope, 100); /* the chunk goes on */
    take(scope, 10000000);
    ck_assert_uint_eq(allocs(TAG), 3);
    ck_assert_ptr_nonnull(tagpool_scope_alloc_aligned(scope, TAGPOOL_PAGED, OS_PAGE, 64, OTHER));
    ck_assert_uint_eq(live_bytes(OTHER), OS_PAGE);
    tagpool_scope_destroy(scope);
    check_nothing_is_live();
}
END_TEST

START_TEST(a_chunk_with_room_serves_what_fits)
{
    tagpool_scope_t *scope = create(NULL);
    for (int i = 0; live_bytes(TAG) < 4 * MOST; i++)
        take(scope, 1008);
    uint64_t before = allocs(TAG);
    take(scope, PIECE_MOST + 1);
    ck_assert_uint_eq(allocs(TAG), before);
    tagpool_scope_destroy(scope);
}
END_TEST

START_TEST(zalloc_gives_zeros)
{
    const size_t sizes[] = {0, 1, 100, 5000, PIECE_MOST, PIECE_MOST + 1, 1000000};
    tagpool_scope_t *scope = create(NULL);
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
            char *block = tagpool_scope_zalloc(scope, TAGPOOL_PAGED, sizes[i], TAG);
            ck_assert_ptr_nonnull(block);
            ck_assert(holds(block, 0, sizes[i]));
            memset(block, 'x', sizes[i]);
        }
        tagpool_scope_reset(scope);
    }
    tagpool_scope_destroy(scope);
    check_nothing_is_live();
}
END_TEST

START_TEST(alignments_are_honoured)
{
    tagpool_scope_t *scope = create(NULL);
    for (size_t alignment = 1; alignment <= (size_t)1 << 21; alignment *= 2)
        for (size_t size = 1; size <= 3 * PIECE_MOST; size = size * 3 + 7) {
            take(scope, 1);
            char *block = tagpool_scope_alloc_aligned(scope, TAGPOOL_PAGED, alignment, size, TAG);
            ck_assert_ptr_nonnull(block);
            ck_assert_uint_eq((uintptr_t)block % alignment, 0);
            ck_assert_uint_eq((uintptr_t)block % 16, 0);
            memset(block, 'y', size);
        }
    tagpool_scope_destroy(scope);
    check_nothing_is_live();
}
END_TEST

static void check_error(const void *block, int error)
{
    ck_assert_ptr_null(block);
    ck_assert_int_eq(errno, error);
    errno = 0;
}

START_TEST(wrong_requests_are_einval)
{
    const tagpool_kind_t unknown = (tagpool_kind_t)2;
    tagpool_scope_t *scope = create(NULL);
    take(scope, 1);
    errno = 0;
    check_error(tagpool_scope_alloc(scope, unknown, 1, TAG), EINVAL);
    check_error(tagpool_scope_alloc(scope, TAGPOOL_PAGED, 1, 7), EINVAL);
    check_error(tagpool_scope_alloc(scope, TAGPOOL_PAGED, 1, 0), EINVAL);
    check_error(tagpool_scope_zalloc(scope, unknown, 100000, TAG), EINVAL);
    check_error(tagpool_scope_alloc_aligned(scope, TAGPOOL_PAGED, 0, 1, TAG), EINVAL);
    check_error(tagpool_scope_alloc_aligned(scope, TAGPOOL_PAGED, 48, 1, TAG), EINVAL);
    ck_assert_int_eq(tagpool_scope_cleanup(scope, NULL, NULL), -1);
    ck_assert_int_eq(errno, EINVAL);
    take(scope, 1);
    ck_assert_uint_eq(live_bytes(TAG), FIRST);
    tagpool_scope_destroy(scope);
    check_nothing_is_live();
}
END_TEST

START_TEST(what_no_machine_has_is_enomem)
{
    const size_t sizes[] = {SIZE_MAX, SIZE_MAX - 14, SIZE_MAX - 15, SIZE_MAX - 16, SIZE_MAX / 2, (size_t)1 << 47};
    tagpool_scope_t *scope = create(NULL);
    for (int row = 0; row < 2; row++) {
        for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
            errno = 0;
            check_error(tagpool_scope_alloc(scope, TAGPOOL_PAGED, sizes[i], TAG), ENOMEM);
            check_error(tagpool_scope_zalloc(scope, TAGPOOL_PAGED, sizes[i], TAG), ENOMEM);
            check_error(tagpool_scope_alloc_aligned(scope, TAGPOOL_PAGED, 64, sizes[i], TAG), ENOMEM);
            check_error(tagpool_scope_alloc_aligned(scope, TAGPOOL_PAGED, (size_t)1 << 62, 1, TAG), ENOMEM);
        }
        take(scope, 1); /* the second time there is a chunk */
    }
    ck_assert_uint_eq(live_bytes(TAG), FIRST);
    tagpool_scope_destroy(scope);
    check_nothing_is_live();
}
END_TEST

START_TEST(a_scope_has_both_kinds)
{
    const struct rlimit limit = {64 * 1024, 64 * 1024};
    ck_assert_int_eq(setrlimit(RLIMIT_MEMLOCK, &limit), 0);
    tagpool_scope_t *scope = create(NULL);
    char *paged = take(scope, 100);
    char *nonpaged = tagpool_scope_alloc(scope, TAGPOOL_NONPAGED, 100, TAG);
    ck_assert_ptr_nonnull(nonpaged);
    memset(nonpaged, 'n', 100);
    ck_assert_int_eq(paged[99], 'x');
    ck_assert_uint_eq(stats_of(TAGPOOL_NONPAGED, TAG).bytes, FIRST);
    ck_assert_uint_eq(live_bytes(TAG), FIRST);
    errno = 0;
    check_error(tagpool_scope_alloc(scope, TAGPOOL_NONPAGED, 1000000, TAG), ENOMEM);
    int count = 0;
    while (tagpool_scope_alloc(scope, TAGPOOL_NONPAGED, 500, TAG) != NULL)
        ck_assert_int_lt(count++, 1000);
    ck_assert_int_eq(errno, ENOMEM);
    take(scope, 100);
    tagpool_scope_destroy(scope);
    check_nothing_is_live();
}
END_TEST

START_TEST(adopted_blocks_go_with_the_scope)
{
    enum { BLOCKS = 1000 };
    tagpool_scope_t *scope = create(NULL);
    for (int i = 0; i < BLOCKS; i++)
        ck_assert_int_eq(tagpool_scope_adopt(scope, tagpool_alloc(TAGPOOL_PAGED, (size_t)i * 10, TAG)), 0);
    ck_assert_uint_eq(allocs(TAG) - stats_of(TAGPOOL_PAGED, TAG).frees, BLOCKS);
    tagpool_scope_reset(scope);
    ck_assert_uint_eq(live_bytes(TAG), 0);
    ck_assert_uint_eq(live_bytes(TAGPOOL_SCOPE_TAG), SCOPE);
    tagpool_scope_destroy(scope);
    check_nothing_is_live();
}
END_TEST

static void check_not_adopted(tagpool_scope_t *scope, void *block)
{
    errno = 0;
    ck_assert_int_eq(tagpool_scope_adopt(scope, block), -1);
    ck_assert_int_eq(errno, EINVAL);
}

START_TEST(only_blocks_are_adopted)
{
    static char memory[64];
    tagpool_scope_t *scope = create(NULL);
    check_not_adopted(scope, NULL);
    check_not_adopted(scope, memory);
    check_not_adopted(scope, take(scope, 10));
    check_not_adopted(scope, scope);
    tagpool_scope_destroy(scope);
    check_nothing_is_live();
}
END_TEST

/* --- order ---------------------------------------------------------------------------------------------------- */

static char order[64];

/* A letter for each cleanup that ran. */
static void note(void *letter)
{
    size_t length = strlen(order);
    ck_assert_uint_lt(length, sizeof(order) - 1);
    order[length] = *(const char *)letter;
}

static void cleanup(tagpool_scope_t *scope, const char *letter)
{
    ck_assert_int_eq(tagpool_scope_cleanup(scope, note, (void *)(uintptr_t)letter), 0);
}

START_TEST(cleanups_and_children_end_in_reverse_order)
{
    tagpool_scope_t *scope = create(NULL);
    cleanup(scope, "a");
    tagpool_scope_t *first = create(scope);
    cleanup(scope, "b");
    tagpool_scope_t *second = create(scope);
    cleanup(first, "c");
    tagpool_scope_t *inner = create(second);
    cleanup(second, "d");
    cleanup(inner, "e");
    cleanup(first, "f");
    cleanup(scope, "g");
    tagpool_scope_destroy(scope);
    ck_assert_str_eq(order, "gdebfca");
    check_nothing_is_live();
}
END_TEST

START_TEST(a_child_that_ended_does_not_end_again)
{
    tagpool_scope_t *scope = create(NULL);
    tagpool_scope_t *children[3];
    const char *letters = "abc";
    for (int i = 0; i < 3; i++) {
        children[i] = create(scope);
        cleanup(children[i], &letters[i]);
    }
    cleanup(scope, "d");
    tagpool_scope_destroy(children[1]);
    tagpool_scope_destroy(children[2]);
    ck_assert_str_eq(order, "bc");
    tagpool_scope_reset(scope);
    ck_assert_str_eq(order, "bcda");
    tagpool_scope_destroy(scope);
    ck_assert_str_eq(order, "bcda");
    check_nothing_is_live();
}
END_TEST

struct words {
    char *own, *of_parent, *large;
};
static int words_seen;

static void read_words(void *argument)
{
    struct words *words = argument;
    ck_assert_str_eq(words->own, "own");
    ck_assert_str_eq(words->of_parent, "parent's");
    ck_assert_int_eq(words->large[100000], 'l');
    words_seen++;
}

/* The argument lies in the scope too. */
START_TEST(memory_goes_after_cleanups)
{
    tagpool_scope_t *scope = create(NULL);
    tagpool_scope_t *child = create(scope);
    struct words *words = (struct words *)take(child, sizeof(*words));
    *words = (struct words){take(child, 10), take(scope, 10), take(child, 200000)};
    ck_assert_int_eq(tagpool_scope_cleanup(child, read_words, words), 0);
    for (int i = 0; i < 5000; i++)
        take(child, 50);
    strcpy(words->own, "own");
    strcpy(words->of_parent, "parent's");
    words->large[100000] = 'l';
    tagpool_scope_destroy(scope);
    ck_assert_int_eq(words_seen, 1);
    check_nothing_is_live();
}
END_TEST

/* A cleanup that goes on working with its scope. */
static void work_in_cleanup(void *argument)
{
    tagpool_scope_t *scope = argument;
    note("w");
    char *block = take(scope, 300);
    take(scope, 100000);
    cleanup(scope, "x");
    tagpool_scope_t *child = create(scope);
    cleanup(child, "y");
    ck_assert_int_eq(tagpool_scope_adopt(child, tagpool_alloc(TAGPOOL_PAGED, 10, OTHER)), 0);
    ck_assert(holds(block, 'x', 300));
}

START_TEST(a_cleanup_may_use_its_scope)
{
    tagpool_scope_t *scope = create(NULL);
    for (int i = 0; i < 2; i++) {
        memset(order, 0, sizeof(order));
        cleanup(scope, "a");
        ck_assert_int_eq(tagpool_scope_cleanup(scope, work_in_cleanup, scope), 0);
        cleanup(scope, "b");
        if (i == 0)
            tagpool_scope_reset(scope);
        else
            tagpool_scope_destroy(scope);
        ck_assert_str_eq(order, "bwyxa");
    }
    check_nothing_is_live();
}
END_TEST

/* From a child's cleanup, while both end. */
START_TEST(a_cleanup_may_use_the_scope_around_it)
{
    tagpool_scope_t *scope = create(NULL);
    cleanup(scope, "a");
    tagpool_scope_t *child = create(scope);
    cleanup(child, "c");
    ck_assert_int_eq(tagpool_scope_cleanup(child, work_in_cleanup, scope), 0);
    cleanup(scope, "b");
    tagpool_scope_destroy(scope);
    ck_assert_str_eq(order, "bwcyxa");
    check_nothing_is_live();
}
END_TEST

static void destroy_other(void *other)
{
    tagpool_scope_destroy(other);
}

START_TEST(a_cleanup_may_end_a_sibling)
{
    tagpool_scope_t *scope = create(NULL);
    tagpool_scope_t *older = create(scope);
    tagpool_scope_t *child = create(scope);
    tagpool_scope_t *newer = create(scope);
    cleanup(older, "o");
    cleanup(newer, "n");
    ck_assert_int_eq(tagpool_scope_cleanup(child, destroy_other, older), 0);
    cleanup(scope, "a");
    tagpool_scope_destroy(scope);
    ck_assert_str_eq(order, "ano");
    check_nothing_is_live();
}
END_TEST

static void *nest_deeply(void *depth)
{
    tagpool_scope_t *top = create(NULL), *scope = top;
    for (uintptr_t i = 0; i < (uintptr_t)depth; i++) {
        scope = create(scope);
        take(scope, 10);
    }
    cleanup(scope, "z");
    tagpool_scope_destroy(top);
    return NULL;
}

/* On a small stack. */
START_TEST(nesting_has_no_bound)
{
    pthread_attr_t attributes;
    pthread_t thread;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 256 * 1024);
    ck_assert_int_eq(pthread_create(&thread, &attributes, nest_deeply, (void *)(uintptr_t)20000), 0);
    pthread_join(thread, NULL);
    ck_assert_str_eq(order, "z");
    check_nothing_is_live();
}
END_TEST

static void count_down(void *argument)
{
    --*(size_t *)argument;
}

START_TEST(cleanups_without_end)
{
    enum { MANY = 100000 };
    size_t left = MANY;
    tagpool_scope_t *scope = create(NULL);
    for (int i = 0; i < MANY; i++)
        ck_assert_int_eq(tagpool_scope_cleanup(scope, count_down, &left), 0);
    tagpool_scope_reset(scope);
    ck_assert_uint_eq(left, 0);
    ck_assert_uint_eq(live_bytes(TAGPOOL_SCOPE_TAG), SCOPE);
    tagpool_scope_destroy(scope);
    check_nothing_is_live();
}
END_TEST

START_TEST(destroy_keeps_errno)
{
    tagpool_scope_t *scope = create(NULL);
    take(scope, 100);
    take(scope, 1000000);
    create(scope);
    errno = E2BIG;
    tagpool_scope_reset(scope);
    tagpool_scope_destroy(scope);
    tagpool_scope_destroy(NULL);
    ck_assert_int_eq(errno, E2BIG);
}
END_TEST

/* --- reset ---------------------------------------------------------------------------------------------------- */

static void fill(tagpool_scope_t *scope)
{
    for (int i = 0; i < 400; i++)
        take(scope, 100);
}

static void do_nothing(void *unused)
{
    (void)unused;
}

START_TEST(a_scope_that_is_filled_again_needs_no_pool)
{
    tagpool_scope_t *scope = create(NULL);
    for (int i = 0; i < 3; i++) {
        fill(scope);
        tagpool_scope_reset(scope);
    }
    uint64_t before = allocs(TAG);
    ck_assert_uint_le(live_bytes(TAG), MOST);
    for (int i = 0; i < 100; i++) {
        fill(scope);
        for (int j = 0; j < 8; j++)
            ck_assert_int_eq(tagpool_scope_cleanup(scope, do_nothing, NULL), 0);
        tagpool_scope_reset(scope);
    }
    ck_assert_uint_eq(allocs(TAG), before);
    ck_assert_uint_eq(allocs(TAGPOOL_SCOPE_TAG), 1);
    tagpool_scope_destroy(scope);
    check_nothing_is_live();
}
END_TEST

START_TEST(rows_that_are_not_used_go_at_the_next_reset)
{
    tagpool_scope_t *scope = create(NULL);
    fill(scope);
    ck_assert_ptr_nonnull(tagpool_scope_alloc(scope, TAGPOOL_PAGED, 1, OTHER));
    tagpool_scope_reset(scope);
    ck_assert_uint_gt(live_bytes(TAG), 0);
    ck_assert_uint_eq(live_bytes(OTHER), FIRST);
    take(scope, 1);
    tagpool_scope_reset(scope);
    ck_assert_uint_gt(live_bytes(TAG), 0);
    ck_assert_uint_eq(live_bytes(OTHER), 0);
    tagpool_scope_reset(scope);
    ck_assert_uint_eq(live_bytes(TAG), 0);
    ck_assert_uint_eq(live_bytes(TAGPOOL_SCOPE_TAG), SCOPE);
    take(scope, 1);
    tagpool_scope_destroy(scope);
    check_nothing_is_live();
}
END_TEST

/* --- threads and fork ----------------------------------------------------------------------------------------- */

static void *scopes_come_and_go(void *unused)
{
    for (int i = 0; i < 2000; i++) {
        tagpool_scope_t *scope = tagpool_scope_create(NULL);
        tagpool_scope_t *child = tagpool_scope_create(scope);
        for (size_t j = 0; j < 50; j++) {
            memset(tagpool_scope_alloc(scope, TAGPOOL_PAGED, j * 40, TAG), 's', j * 40);
            memset(tagpool_scope_alloc(child, TAGPOOL_PAGED, j * 10, OTHER), 'c', j * 10);
        }
        tagpool_scope_destroy(scope);
    }
    return unused;
}

START_TEST(threads_have_scopes_of_their_own)
{
    enum { THREADS = 4 };
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, scopes_come_and_go, NULL), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    check_nothing_is_live();
}
END_TEST

static void *use_and_end(void *scope)
{
    fill(scope);
    tagpool_scope_reset(scope);
    fill(scope);
    tagpool_scope_destroy(scope);
    return NULL;
}

START_TEST(a_scope_may_change_hands)
{
    pthread_t thread;
    tagpool_scope_t *scope = create(NULL);
    fill(scope);
    cleanup(scope, "a");
    ck_assert_int_eq(pthread_create(&thread, NULL, use_and_end, scope), 0);
    pthread_join(thread, NULL);
    ck_assert_str_eq(order, "a");
    check_nothing_is_live();
}
END_TEST

static void child_ends(tagpool_scope_t *scope)
{
    fill(scope);
    tagpool_scope_reset(scope);
    if (strcmp(order, "ba") != 0)
        _exit(1);
    fill(scope);
    tagpool_scope_destroy(scope);
    check_nothing_is_live();
    _exit(0);
}

START_TEST(both_sides_of_a_fork_have_the_scope)
{
    int status;
    tagpool_scope_t *scope = create(NULL);
    fill(scope);
    cleanup(scope, "a");
    tagpool_scope_t *inner = create(scope);
    cleanup(inner, "b");
    take(inner, 1000000);
    struct tagpool_stats before = stats_of(TAGPOOL_PAGED, TAG);
    pid_t child = fork();
    if (child == 0)
        child_ends(scope);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    ck_assert_uint_eq(stats_of(TAGPOOL_PAGED, TAG).bytes, before.bytes);
    ck_assert_str_eq(order, "");
    tagpool_scope_destroy(scope);
    ck_assert_str_eq(order, "ba");
    check_nothing_is_live();
}
END_TEST

/* --- failures ------------------------------------------------------------------------------------------------- */

static size_t failures, made, ran;

static void count_run(void *unused)
{
    (void)unused;
    ran++;
}

/* What may be NULL once: the call that was made to fail. */
static void count_failure(bool failed)
{
    fault_must(!failed || errno == ENOMEM);
    failures += failed;
}

static void use_a_lot(tagpool_scope_t *scope)
{
    static const size_t sizes[] = {1, 500, 3000, 20000, 200000};
    for (size_t i = 0; i < 100; i++) {
        char *block = tagpool_scope_zalloc(scope, TAGPOOL_PAGED, sizes[i % 5], i % 3 == 0 ? OTHER : TAG);
        count_failure(block == NULL);
        if (block != NULL)
            memset(block, 'f', sizes[i % 5]);
        count_failure(tagpool_scope_alloc_aligned(scope, TAGPOOL_PAGED, 256, 100, TAG) == NULL);
        bool failed = tagpool_scope_cleanup(scope, count_run, NULL) != 0;
        count_failure(failed);
        made += !failed;
    }
}

static void adopt_one(tagpool_scope_t *scope)
{
    void *block = tagpool_alloc(TAGPOOL_PAGED, 100, TAG);
    count_failure(block == NULL);
    if (block == NULL || tagpool_scope_adopt(scope, block) == 0)
        return;
    count_failure(true);
    tagpool_free(block);
}

static void with_failures(void)
{
    tagpool_scope_t *scope = tagpool_scope_create(NULL);
    if (scope == NULL) {
        fault_must(errno == ENOMEM);
    } else {
        tagpool_scope_t *child = tagpool_scope_create(scope);
        count_failure(child == NULL);
        for (int round = 0; round < 2; round++) {
            use_a_lot(child != NULL ? child : scope);
            for (int i = 0; i < 30; i++)
                adopt_one(scope);
            tagpool_scope_reset(child != NULL ? child : scope);
            fault_must(ran == made);
        }
        fault_must(failures <= 1);
        tagpool_scope_destroy(scope);
    }
    fault_must_be_empty(TAGPOOL_PAGED, TAG);
    fault_must_be_empty(TAGPOOL_PAGED, OTHER);
    fault_must_be_empty(TAGPOOL_PAGED, TAGPOOL_SCOPE_TAG);
}

START_TEST(each_allocation_may_fail)
{
    ck_assert_uint_gt(fault_each(with_failures), 50);
}
END_TEST

UNIT_MAIN("scope", blocks_lie_apart, what_is_counted_is_chunks, a_row_grows_to_its_limit, rows_do_not_mix,
          a_long_request_has_its_own_block, a_chunk_with_room_serves_what_fits, zalloc_gives_zeros,
          alignments_are_honoured, wrong_requests_are_einval, what_no_machine_has_is_enomem, a_scope_has_both_kinds,
          adopted_blocks_go_with_the_scope, only_blocks_are_adopted, cleanups_and_children_end_in_reverse_order,
          a_child_that_ended_does_not_end_again, memory_goes_after_cleanups, a_cleanup_may_use_its_scope,
          a_cleanup_may_use_the_scope_around_it, a_cleanup_may_end_a_sibling, nesting_has_no_bound,
          cleanups_without_end, destroy_keeps_errno, a_scope_that_is_filled_again_needs_no_pool,
          rows_that_are_not_used_go_at_the_next_reset, threads_have_scopes_of_their_own, a_scope_may_change_hands,
          both_sides_of_a_fork_have_the_scope, each_allocation_may_fail)
