/*
 * Q1 to Q3 and the rules of the public header, step by step.  Many threads: tests/property/quota_model_test.c.
 */
#include "child.h"
#include "fault.h"
#include "unit.h"

#include "quota.h"
#include "span.h"

#include <tagpool.h>

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define TAG TAGPOOL_TAG('Q', 'u', 'o', 't')

static tagpool_quota_t *make(tagpool_quota_t *parent, const char *name, uint64_t paged)
{
    const tagpool_quota_limits_t limits = {.paged = paged};
    tagpool_quota_t *quota = tagpool_quota_create(parent, name, &limits);
    ck_assert_ptr_nonnull(quota);
    return quota;
}

static uint64_t held(const tagpool_quota_t *quota)
{
    tagpool_quota_stats_t stats;
    ck_assert_int_eq(tagpool_quota_stats(quota, TAGPOOL_PAGED, &stats), 0);
    return stats.held;
}

static uint64_t refused(const tagpool_quota_t *quota)
{
    tagpool_quota_stats_t stats;
    ck_assert_int_eq(tagpool_quota_stats(quota, TAGPOOL_PAGED, &stats), 0);
    return stats.refused;
}

static void *charge(size_t size)
{
    return tagpool_alloc_flags(TAGPOOL_PAGED, size, TAG, TAGPOOL_CHARGE);
}

static void *must_charge(size_t size)
{
    void *block = charge(size);
    ck_assert_ptr_nonnull(block);
    return block;
}

static void must_refuse(size_t size)
{
    errno = 0;
    ck_assert_ptr_null(charge(size));
    ck_assert_int_eq(errno, EDQUOT);
}

/* Accounts that readers see. */
static unsigned shown(void)
{
    unsigned count = 0;
    for (uint32_t i = 1; i < tp_segment->quotas_used_total; i++)
        count += tp_segment_quotas[i].used;
    return count;
}

START_TEST(names_must_be_there_and_fit)
{
    char name[TAGPOOL_SEGMENT_QUOTA_NAME + 1] = "";
    errno = 0;
    ck_assert_ptr_null(tagpool_quota_create(NULL, NULL, NULL));
    ck_assert_int_eq(errno, EINVAL);
    ck_assert_ptr_null(tagpool_quota_create(NULL, name, NULL));
    memset(name, 'n', TAGPOOL_SEGMENT_QUOTA_NAME);
    ck_assert_ptr_null(tagpool_quota_create(NULL, name, NULL));
    name[TAGPOOL_SEGMENT_QUOTA_NAME - 1] = '\0';
    tagpool_quota_t *quota = tagpool_quota_create(NULL, name, NULL);
    ck_assert_ptr_nonnull(quota);
    ck_assert_str_eq(tp_segment_quotas[tp_quota_index(quota)].name, name);
    tagpool_quota_stats_t stats;
    ck_assert_int_eq(tagpool_quota_stats(quota, (tagpool_kind_t)2, &stats), -1);
    ck_assert_int_eq(tagpool_quota_limit(quota, (tagpool_kind_t)2, 1), -1);
    tagpool_quota_destroy(quota);
    tagpool_quota_destroy(NULL);
    ck_assert_uint_eq(shown(), 0);
}
END_TEST

START_TEST(a_block_is_charged_whole_and_to_all_above)
{
    tagpool_quota_t *root = make(NULL, "root", 0), *leaf = make(root, "leaf", 0), *other = make(root, "other", 0);
    ck_assert_int_eq(tagpool_quota_attach(leaf), 0);
    char *small = must_charge(100), *large = must_charge(1 << 20), *plain = tagpool_alloc(TAGPOOL_PAGED, 100, TAG);
    ck_assert_uint_eq(held(leaf), tagpool_size(small) + tagpool_size(large));
    ck_assert_uint_eq(held(root), held(leaf));
    ck_assert_uint_eq(held(other), 0);
    ck_assert_int_eq(tagpool_quota_attach(other), 0);
    tagpool_free(small);
    ck_assert_uint_eq(held(leaf), 1 << 20);
    ck_assert_int_eq(tagpool_quota_attach(NULL), 0);
    tagpool_free(must_charge(10)); /* to nobody */
    tagpool_free(large);
    tagpool_free(plain);
    ck_assert_uint_eq(held(root), 0);
    ck_assert_uint_eq(tp_segment_quotas[tp_quota_index(root)].held_bytes[1], 0);
    ck_assert_uint_ge(tp_segment_quotas[tp_quota_index(root)].peak_bytes[1], (1 << 20) + 100);
}
END_TEST

START_TEST(each_level_refuses_at_its_limit)
{
    tagpool_quota_t *root = make(NULL, "root", 3200), *a = make(root, "a", 1600), *b = make(root, "b", 0);
    void *blocks[200];
    int count = 0;
    tagpool_quota_attach(a);
    for (; count < 100; count++)
        blocks[count] = must_charge(16);
    must_refuse(1);
    tagpool_quota_attach(b);
    for (; count < 200; count++)
        blocks[count] = must_charge(16);
    must_refuse(1);
    ck_assert_uint_eq(held(b), 1600); /* nothing is left of what the root refused */
    tagpool_quota_stats_t stats;
    tagpool_quota_stats(b, TAGPOOL_PAGED, &stats);
    ck_assert_uint_eq(stats.peak, 1600);
    ck_assert(refused(a) == 1 && refused(b) == 0 && refused(root) == 1);
    ck_assert_int_eq(tagpool_quota_limit(root, TAGPOOL_PAGED, 3216), 0);
    void *more = must_charge(1);
    must_refuse(1);
    tagpool_quota_limit(root, TAGPOOL_PAGED, 100); /* nothing that is there is refused */
    must_refuse(1);
    tagpool_quota_limit(root, TAGPOOL_PAGED, 0);
    tagpool_free(must_charge(100000));
    tagpool_free(more);
    while (count > 0)
        tagpool_free(blocks[--count]);
    ck_assert_uint_eq(held(root), 0);
}
END_TEST

START_TEST(kinds_have_limits_of_their_own)
{
    const tagpool_quota_limits_t limits = {.nonpaged = 64, .paged = 128};
    tagpool_quota_t *quota = tagpool_quota_create(NULL, "kinds", &limits);
    tagpool_quota_attach(quota);
    void *locked = tagpool_alloc_flags(TAGPOOL_NONPAGED, 64, TAG, TAGPOOL_CHARGE | TAGPOOL_ZERO);
    ck_assert_ptr_nonnull(locked);
    ck_assert_ptr_null(tagpool_alloc_flags(TAGPOOL_NONPAGED, 1, TAG, TAGPOOL_CHARGE));
    void *paged = must_charge(128);
    must_refuse(1);
    tagpool_free(locked);
    must_refuse(1);
    tagpool_free(paged);
}
END_TEST

/* The account of the block pays, not that of the thread; and only the difference is asked for. */
START_TEST(realloc_takes_the_charge_along)
{
    tagpool_quota_t *owner = make(NULL, "owner", 1 << 20), *other = make(NULL, "other", 0);
    tagpool_quota_attach(owner);
    char *block = must_charge(200);
    tagpool_quota_attach(other);
    memset(block, 'x', 200);
    const size_t sizes[] = {5000, 60, 3000, 200000, 700000, 500000, 1000, 16, 900000};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        block = tagpool_realloc(block, sizes[i]);
        ck_assert_ptr_nonnull(block);
        ck_assert_uint_eq(held(owner), tagpool_size(block));
        ck_assert_uint_eq(held(other), 0);
        ck_assert_int_eq(block[15], 'x');
    }
    errno = 0;
    ck_assert_ptr_null(tagpool_realloc(block, (1 << 20) + 1));
    ck_assert_int_eq(errno, EDQUOT);
    ck_assert_uint_eq(held(owner), tagpool_size(block));
    tagpool_free(block);
    ck_assert_uint_eq(held(owner), 0);
}
END_TEST

/* A move within a full account needs no room for both. */
START_TEST(a_full_account_can_shrink_its_block)
{
    tagpool_quota_t *quota = make(NULL, "full", 4096);
    tagpool_quota_attach(quota);
    void *block = must_charge(4096);
    must_refuse(1);
    block = tagpool_realloc(block, 100);
    ck_assert_ptr_nonnull(block);
    ck_assert_uint_eq(held(quota), tagpool_size(block));
    tagpool_free(block);
}
END_TEST

START_TEST(an_account_lives_until_its_last_block_is_freed)
{
    tagpool_quota_t *root = make(NULL, "root", 0), *leaf = make(root, "leaf", 0);
    tagpool_quota_attach(leaf);
    void *block = must_charge(100);
    tagpool_quota_attach(NULL);
    tagpool_quota_destroy(leaf);
    ck_assert_uint_eq(shown(), 2);
    ck_assert_uint_gt(held(root), 0);
    tagpool_free(block);
    ck_assert_uint_eq(shown(), 1);
    ck_assert_uint_eq(held(root), 0);
    tagpool_quota_destroy(root);
    ck_assert_uint_eq(shown(), 0);
}
END_TEST

START_TEST(a_parent_lives_as_long_as_its_children)
{
    tagpool_quota_t *root = make(NULL, "root", 2048), *leaf = make(root, "leaf", 0);
    tagpool_quota_destroy(root);
    tagpool_quota_attach(leaf);
    must_refuse(2049);
    void *block = must_charge(2048);
    tagpool_quota_destroy(leaf);
    must_refuse(1);
    ck_assert_uint_eq(shown(), 2);
    tagpool_quota_attach(NULL);
    tagpool_free(block);
    ck_assert_uint_eq(shown(), 0);
}
END_TEST

static void *attach_and_end(void *quota)
{
    ck_assert_int_eq(tagpool_quota_attach(quota), 0);
    return must_charge(100);
}

START_TEST(a_thread_that_ends_lets_its_account_go)
{
    pthread_t thread;
    void *block;
    tagpool_quota_t *quota = make(NULL, "thread", 0);
    ck_assert_int_eq(pthread_create(&thread, NULL, attach_and_end, quota), 0);
    pthread_join(thread, &block);
    tagpool_quota_destroy(quota);
    ck_assert_uint_eq(shown(), 1);
    tagpool_free(block);
    ck_assert_uint_eq(shown(), 0);
}
END_TEST

START_TEST(there_is_an_end_to_accounts_and_their_numbers_come_back)
{
    static tagpool_quota_t *quotas[TP_QUOTA_COUNT];
    for (int round = 0; round < 2; round++) {
        for (uint32_t i = 1; i < TP_QUOTA_COUNT; i++)
            quotas[i] = make(NULL, "many", 0);
        errno = 0;
        ck_assert_ptr_null(tagpool_quota_create(NULL, "one more", NULL));
        ck_assert_int_eq(errno, ENOMEM);
        for (uint32_t i = 1; i < TP_QUOTA_COUNT; i++)
            tagpool_quota_destroy(quotas[i]);
    }
    ck_assert_uint_eq(shown(), 0);
}
END_TEST

static tagpool_quota_t *forked;
static void *forked_block, *forked_large;

static void child_goes_on(void *unused)
{
    (void)unused;
    ck_assert_uint_eq(held(forked), tagpool_size(forked_block) + tagpool_size(forked_large));
    void *block = must_charge(1000);
    must_refuse(1 << 20);
    tagpool_free(forked_block);
    tagpool_free(forked_large);
    tagpool_free(block);
    ck_assert_uint_eq(held(forked), 0);
    tagpool_quota_attach(NULL);
    tagpool_quota_destroy(forked);
    ck_assert_uint_eq(shown(), 0);
}

START_TEST(a_child_goes_on_with_what_is_charged)
{
    forked = make(NULL, "forked", 1 << 20);
    tagpool_quota_attach(forked);
    forked_block = must_charge(300);
    forked_large = must_charge(300000);
    uint64_t before = held(forked);
    struct child_result result = child_run(child_goes_on, NULL);
    ck_assert_msg(child_succeeded(&result), "%s", result.text);
    ck_assert_uint_eq(held(forked), before);
    tagpool_free(forked_block);
    tagpool_free(forked_large);
    ck_assert_uint_eq(held(forked), 0);
}
END_TEST

static void child_creates(void *unused)
{
    (void)unused;
    tagpool_quota_t *quota = make(NULL, "child's", 0);
    tagpool_quota_attach(quota);
    tagpool_free(must_charge(100));
    ck_assert_uint_eq(shown(), 1);
}

START_TEST(a_child_makes_accounts_where_its_parents_have_ended)
{
    tagpool_quota_destroy(make(NULL, "gone", 0));
    struct child_result result = child_run(child_creates, NULL);
    ck_assert_msg(child_succeeded(&result), "%s", result.text);
}
END_TEST

/* What no machine has is charged to nobody, not for a moment. */
START_TEST(impossible_sizes_are_enomem_and_leave_no_peak)
{
    tagpool_quota_t *quota = make(NULL, "huge", 0);
    tagpool_quota_stats_t stats;
    tagpool_quota_attach(quota);
    void *block = must_charge(100);
    const size_t sizes[] = {SIZE_MAX, SIZE_MAX - 4096, (size_t)1 << 50};
    for (size_t i = 0; i < 3; i++) {
        errno = 0;
        ck_assert_ptr_null(charge(sizes[i]));
        ck_assert_int_eq(errno, ENOMEM);
        ck_assert_ptr_null(tagpool_realloc(block, sizes[i]));
    }
    tagpool_quota_stats(quota, TAGPOOL_PAGED, &stats);
    ck_assert_uint_eq(stats.peak, tagpool_size(block));
    tagpool_free(block);
}
END_TEST

static bool churning;

/* No assertion of the test library here or in the child: its lock would stay held in children. */
static void *churn_large(void *quota)
{
    if (tagpool_quota_attach(quota) != 0)
        return quota;
    while (__atomic_load_n(&churning, __ATOMIC_RELAXED))
        tagpool_free(charge(200000));
    return NULL;
}

/* A block that another thread was about to give out, or had given back, is nobody's in the child. */
static int child_is_charged(const tagpool_quota_t *quota)
{
    uint64_t live = 0;
    tagpool_quota_stats_t stats;
    if (tagpool_quota_stats(quota, TAGPOOL_PAGED, &stats) != 0)
        return 2;
    for (size_t unit = tp_span_region_first(1); unit < tp_span_watermark(1); unit++)
        if (tp_space.owners[unit] != TP_OWNER_NONE && tp_space.pages[unit].state == TP_UNIT_LARGE)
            live += tp_space.pages[unit].large_size;
    return live != stats.held;
}

START_TEST(a_child_inherits_no_large_block_that_was_freed)
{
    pthread_t thread;
    tagpool_quota_t *quota = make(NULL, "churn", 0);
    churning = true;
    ck_assert_int_eq(pthread_create(&thread, NULL, churn_large, quota), 0);
    for (int i = 0; i < 40; i++) {
        pid_t child = fork();
        if (child == 0)
            _exit(child_is_charged(quota));
        int status;
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        ck_assert_int_eq(status, 0);
    }
    __atomic_store_n(&churning, false, __ATOMIC_RELAXED);
    void *failed;
    pthread_join(thread, &failed);
    ck_assert_ptr_null(failed);
}
END_TEST

static void free_all(void **blocks, int count)
{
    for (int i = 0; i < count; i++)
        tagpool_free(blocks[i]);
}

/* Whatever allocation fails: the charge went back. */
static void with_failures(void)
{
    enum { BLOCKS = 60 };
    void *blocks[BLOCKS];
    tagpool_quota_t *root = tagpool_quota_create(NULL, "root", NULL);
    tagpool_quota_t *leaf = tagpool_quota_create(root, "leaf", NULL);
    fault_must(leaf != NULL || errno == ENOMEM);
    tagpool_quota_attach(leaf);
    for (int i = 0; i < BLOCKS; i++)
        blocks[i] = charge(i % 10 == 9 ? 200000 : 3000);
    for (int i = 0; i < BLOCKS; i++) {
        void *moved = blocks[i] != NULL ? tagpool_realloc(blocks[i], i % 2 == 0 ? 100 : 9000) : NULL;
        blocks[i] = moved != NULL ? moved : blocks[i];
    }
    free_all(blocks, BLOCKS);
    fault_must(leaf == NULL || held(leaf) == 0);
    fault_must(root == NULL || held(root) == 0);
    tagpool_quota_attach(NULL);
    tagpool_quota_destroy(leaf);
    tagpool_quota_destroy(root);
    fault_must(shown() == 0);
    fault_must_be_empty(TAGPOOL_PAGED, TAG);
}

START_TEST(each_allocation_may_fail)
{
    ck_assert_uint_gt(fault_each(with_failures), 10);
}
END_TEST

UNIT_MAIN("quota", names_must_be_there_and_fit, a_block_is_charged_whole_and_to_all_above,
          each_level_refuses_at_its_limit, kinds_have_limits_of_their_own, realloc_takes_the_charge_along,
          a_full_account_can_shrink_its_block, an_account_lives_until_its_last_block_is_freed,
          a_parent_lives_as_long_as_its_children, a_thread_that_ends_lets_its_account_go,
          there_is_an_end_to_accounts_and_their_numbers_come_back, a_child_goes_on_with_what_is_charged,
          a_child_makes_accounts_where_its_parents_have_ended, impossible_sizes_are_enomem_and_leave_no_peak,
          a_child_inherits_no_large_block_that_was_freed, each_allocation_may_fail)
