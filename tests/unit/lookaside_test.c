/*
 * K1 to K4 and the rules of the public header, step by step.
 */
#include "fault.h"
#include "unit.h"

#include "fast.h"
#include "start.h"

#include <tagpool/lookaside.h>

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define TAG TAGPOOL_TAG('L', 'o', 'o', 'k')
enum { SIZE = 100, BLOCKS = 2000 };

static const tagpool_lookaside_options_t plain = {.kind = TAGPOOL_PAGED, .tag = TAG, .size = SIZE};

static tagpool_lookaside_t list;
static void *blocks[BLOCKS];

static void init(tagpool_lookaside_options_t options)
{
    ck_assert_int_eq(tagpool_lookaside_init(&list, &options), 0);
}

static void *alloc_one(void)
{
    void *block = tagpool_lookaside_alloc(&list);
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
        tagpool_lookaside_free(&list, blocks[i]);
}

static tagpool_lookaside_stats_t stats(void)
{
    tagpool_lookaside_stats_t now;
    tagpool_lookaside_stats(&list, &now);
    return now;
}

/* Blocks that the tag's account says are live: the list's, in use or not. */
static uint64_t live_blocks(void)
{
    struct tagpool_stats account;
    ck_assert_int_eq(tagpool_stats(TAGPOOL_PAGED, TAG, &account), 0);
    return account.allocs - account.frees;
}

/* K3, as the numbers tell it. */
static void check_sums(void)
{
    tagpool_lookaside_stats_t now = stats();
    ck_assert_uint_eq(now.allocate_misses - now.free_misses, now.outstanding + now.cached);
    ck_assert_uint_eq(live_blocks(), now.outstanding + now.cached);
    ck_assert_uint_eq(now.total_allocates - now.total_frees, now.outstanding);
}

/* Enough demand that the depth is at its maximum. */
static void deepen(void)
{
    for (int i = 0; i < 40; i++) {
        alloc_blocks(BLOCKS);
        free_blocks(BLOCKS);
    }
    ck_assert_uint_eq(stats().depth, TAGPOOL_LOOKASIDE_DEPTH_MAX);
}

static void check_refused(tagpool_lookaside_options_t options)
{
    errno = 0;
    ck_assert_int_eq(tagpool_lookaside_init(&list, &options), -1);
    ck_assert_int_eq(errno, EINVAL);
}

static void *alloc_of_list(tagpool_lookaside_t *of, size_t size, tagpool_tag_t tag)
{
    ck_assert_ptr_eq(of, &list);
    ck_assert_uint_eq(size, SIZE);
    ck_assert_uint_eq(tag, TAG);
    ++*(int *)tagpool_lookaside_context(of);
    return tagpool_alloc(TAGPOOL_PAGED, size, tag);
}

static void free_of_list(tagpool_lookaside_t *of, void *block)
{
    --*(int *)tagpool_lookaside_context(of);
    tagpool_free(block);
}

START_TEST(wrong_options_are_einval)
{
    tagpool_lookaside_options_t options = plain;
    options.kind = (tagpool_kind_t)2;
    check_refused(options);
    options = plain;
    options.tag = 7;
    check_refused(options);
    options = plain;
    options.size = 0;
    check_refused(options);
    options = plain;
    options.maximum_depth = 3;
    check_refused(options);
    options.maximum_depth = 257;
    check_refused(options);
    options = plain;
    options.alloc = alloc_of_list;
    check_refused(options);
}
END_TEST

START_TEST(a_block_comes_back_as_it_was)
{
    init(plain);
    char *block = alloc_one();
    ck_assert_uint_ge(tagpool_size(block), SIZE);
    ck_assert_uint_eq(tagpool_tag_of(block), TAG);
    memset(block, 'x', SIZE);
    tagpool_lookaside_free(&list, block);
    char *again = alloc_one();
    ck_assert_ptr_eq(again, block);
    for (int i = 0; i < SIZE; i++)
        ck_assert_int_eq(again[i], 'x');
    tagpool_lookaside_free(&list, again);
    tagpool_lookaside_free(&list, NULL);
    ck_assert_uint_eq(tagpool_lookaside_destroy(&list), 0);
}
END_TEST

START_TEST(calls_and_misses_are_counted)
{
    init(plain);
    alloc_blocks(100);
    tagpool_lookaside_stats_t now = stats();
    ck_assert_uint_eq(now.total_allocates, 100);
    ck_assert_uint_eq(now.allocate_misses, 100);
    ck_assert_uint_eq(now.outstanding, 100);
    check_sums();
    free_blocks(100);
    now = stats();
    ck_assert_uint_eq(now.total_frees, 100);
    ck_assert_uint_ge(now.cached, TAGPOOL_LOOKASIDE_DEPTH_MIN);
    ck_assert_uint_eq(now.free_misses + now.cached, 100);
    check_sums();
    int cached = (int)now.cached;
    alloc_blocks(cached);
    ck_assert_uint_eq(stats().allocate_misses, 100); /* all of these were kept */
    free_blocks(cached);
    ck_assert_uint_eq(tagpool_lookaside_destroy(&list), 0);
    ck_assert_uint_eq(live_blocks(), 0);
}
END_TEST

START_TEST(depth_grows_by_misses_and_falls_with_demand)
{
    init(plain);
    ck_assert_uint_eq(stats().depth, TAGPOOL_LOOKASIDE_DEPTH_MIN);
    ck_assert_uint_eq(stats().maximum_depth, TAGPOOL_LOOKASIDE_DEPTH_MAX);
    deepen();
    uint64_t kept = stats().cached;
    ck_assert_uint_ge(kept, TAGPOOL_LOOKASIDE_DEPTH_MAX);
    for (int i = 0; i < 100; i++)
        tagpool_lookaside_scan();
    ck_assert_uint_eq(stats().depth, TAGPOOL_LOOKASIDE_DEPTH_MIN);
    /* The store's surplus; this thread's magazine follows when it is called. */
    ck_assert_uint_lt(stats().cached, kept / 4);
    check_sums();
    tagpool_lookaside_free(&list, alloc_one());
    ck_assert_uint_eq(tagpool_lookaside_destroy(&list), 0);
}
END_TEST

START_TEST(a_lower_maximum_is_kept)
{
    tagpool_lookaside_options_t options = plain;
    options.maximum_depth = 10;
    init(options);
    for (int i = 0; i < 20; i++) {
        alloc_blocks(BLOCKS);
        free_blocks(BLOCKS);
    }
    ck_assert_uint_eq(stats().depth, 10);
    ck_assert_uint_le(stats().cached, 10 + 10 / 4);
    tagpool_lookaside_destroy(&list);
}
END_TEST

START_TEST(own_routines_get_the_list)
{
    int out = 0;
    tagpool_lookaside_options_t options = plain;
    options.alloc = alloc_of_list;
    options.free = free_of_list;
    options.context = &out;
    init(options);
    alloc_blocks(50);
    ck_assert_int_eq(out, 50);
    free_blocks(50);
    ck_assert_int_eq(out, (int)stats().cached);
    ck_assert_uint_eq(tagpool_lookaside_destroy(&list), 0);
    ck_assert_int_eq(out, 0);
}
END_TEST

static int constructed, destructed, construct_error;

static int construct(tagpool_lookaside_t *of, void *block)
{
    ck_assert_ptr_eq(of, &list);
    if (construct_error != 0)
        return construct_error;
    strcpy(block, "made");
    constructed++;
    return 0;
}

static void destruct(tagpool_lookaside_t *of, void *block)
{
    ck_assert_ptr_eq(of, &list);
    ck_assert_str_eq(block, "made");
    destructed++;
}

START_TEST(constructors_run_once_in_the_life_of_a_block)
{
    tagpool_lookaside_options_t options = plain;
    options.construct = construct;
    options.destruct = destruct;
    init(options);
    for (int i = 0; i < 10; i++) {
        alloc_blocks(200);
        for (int j = 0; j < 200; j++)
            ck_assert_str_eq(blocks[j], "made");
        free_blocks(200);
    }
    ck_assert_uint_eq((uint64_t)constructed, stats().allocate_misses);
    ck_assert_uint_eq((uint64_t)destructed, stats().free_misses);
    tagpool_lookaside_destroy(&list);
    ck_assert_int_eq(destructed, constructed);
}
END_TEST

START_TEST(a_constructor_that_fails_fails_the_call)
{
    tagpool_lookaside_options_t options = plain;
    options.construct = construct;
    options.destruct = destruct;
    init(options);
    construct_error = EAGAIN;
    errno = 0;
    ck_assert_ptr_null(tagpool_lookaside_alloc(&list));
    ck_assert_int_eq(errno, EAGAIN);
    construct_error = 0;
    tagpool_lookaside_free(&list, alloc_one());
    ck_assert_uint_eq(stats().total_allocates, 1);
    check_sums();
    ck_assert_uint_eq(tagpool_lookaside_destroy(&list), 0);
    ck_assert_uint_eq(live_blocks(), 0);
}
END_TEST

START_TEST(blocks_still_out_are_told)
{
    init(plain);
    alloc_blocks(7);
    ck_assert_uint_eq(tagpool_lookaside_destroy(&list), 7);
    ck_assert_uint_eq(live_blocks(), 7);
    for (int i = 0; i < 7; i++)
        tagpool_free(blocks[i]);
    ck_assert_uint_eq(live_blocks(), 0);
}
END_TEST

START_TEST(lists_come_and_go_without_end)
{
    for (int i = 0; i < 40000; i++) {
        init(plain);
        tagpool_lookaside_free(&list, alloc_one());
        ck_assert_uint_eq(stats().total_allocates, 1);
        ck_assert_uint_eq(tagpool_lookaside_destroy(&list), 0);
    }
    ck_assert_uint_eq(live_blocks(), 0);
}
END_TEST

static tagpool_lookaside_t many[TP_GATE_HANDS + 10];

START_TEST(more_lists_than_hands_work_too)
{
    const size_t count = sizeof(many) / sizeof(many[0]);
    for (size_t i = 0; i < count; i++)
        ck_assert_int_eq(tagpool_lookaside_init(&many[i], &plain), 0);
    for (size_t i = 0; i < count; i++) {
        void *block = tagpool_lookaside_alloc(&many[i]);
        tagpool_lookaside_free(&many[i], block);
        ck_assert_ptr_eq(tagpool_lookaside_alloc(&many[i]), block);
        tagpool_lookaside_free(&many[i], block);
    }
    list = many[count - 1];
    ck_assert_uint_eq(stats().total_allocates, 2);
    ck_assert_uint_eq(stats().allocate_misses, 1);
    for (size_t i = 0; i < count; i++)
        ck_assert_uint_eq(tagpool_lookaside_destroy(&many[i]), 0);
    ck_assert_uint_eq(live_blocks(), 0);
}
END_TEST

START_TEST(flush_leaves_nothing)
{
    init(plain);
    deepen();
    alloc_blocks(10);
    tagpool_lookaside_flush(&list);
    ck_assert_uint_eq(stats().cached, 0);
    ck_assert_uint_eq(live_blocks(), 10);
    check_sums();
    free_blocks(10);
    alloc_blocks(10);
    ck_assert_uint_eq(tagpool_lookaside_destroy(&list), 10);
}
END_TEST

/* --- threads -------------------------------------------------------------------------------------------------- */

static void in_thread(void *(*job)(void *))
{
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, job, NULL), 0);
    pthread_join(thread, NULL);
}

static void *free_some(void *unused)
{
    (void)unused;
    free_blocks(BLOCKS);
    return NULL;
}

START_TEST(what_an_ended_thread_had_is_not_lost)
{
    init(plain);
    deepen();
    alloc_blocks(BLOCKS);
    in_thread(free_some);
    tagpool_lookaside_stats_t now = stats();
    ck_assert_uint_eq(now.outstanding, 0);
    ck_assert_uint_ge(now.cached, now.depth);
    ck_assert_uint_le(now.cached, now.depth + now.depth / 4);
    check_sums();
    ck_assert_uint_eq(tagpool_lookaside_destroy(&list), 0);
    ck_assert_uint_eq(live_blocks(), 0);
}
END_TEST

static pthread_barrier_t barrier;

static void *free_and_wait(void *unused)
{
    (void)unused;
    void *block = alloc_one();
    tagpool_lookaside_free(&list, block);
    pthread_barrier_wait(&barrier); /* has a block at hand */
    pthread_barrier_wait(&barrier); /* the list was flushed */
    alloc_one();
    for (int i = 0; i < 3; i++)
        alloc_one();
    pthread_barrier_wait(&barrier);
    return NULL;
}

START_TEST(destroy_takes_what_other_threads_have_at_hand)
{
    pthread_t thread;
    init(plain);
    pthread_barrier_init(&barrier, NULL, 2);
    ck_assert_int_eq(pthread_create(&thread, NULL, free_and_wait, NULL), 0);
    pthread_barrier_wait(&barrier);
    ck_assert_uint_eq(stats().cached, 1);
    ck_assert_uint_eq(tagpool_lookaside_destroy(&list), 0);
    ck_assert_uint_eq(live_blocks(), 0);
    init(plain); /* the thread's magazine serves the new list */
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier);
    pthread_join(thread, NULL);
    ck_assert_uint_eq(stats().outstanding, 4);
    check_sums();
    ck_assert_uint_eq(tagpool_lookaside_destroy(&list), 4);
}
END_TEST

static void *exchange(void *argument)
{
    unsigned seed = (unsigned)(uintptr_t)argument;
    for (int i = 0; i < 200000; i++) {
        seed = seed * 1103515245 + 12345;
        void **place = &blocks[(seed >> 16) % 64];
        void *old = __atomic_exchange_n(place, NULL, __ATOMIC_ACQ_REL);
        if (old == NULL)
            old = __atomic_exchange_n(place, tagpool_lookaside_alloc(&list), __ATOMIC_ACQ_REL);
        tagpool_lookaside_free(&list, old);
    }
    return NULL;
}

/* On one processor a whole ring goes out before any of it comes back: so much a store must hold. */
enum { RING = 128, MESSAGES = 2000000 };
static void *ring[RING];

static void *consume(void *unused)
{
    (void)unused;
    for (int i = 0; i < MESSAGES; i++) {
        void *message;
        while ((message = __atomic_exchange_n(&ring[i % RING], NULL, __ATOMIC_ACQ_REL)) == NULL)
            sched_yield();
        tagpool_lookaside_free(&list, message);
    }
    return NULL;
}

static void produce(void)
{
    for (int i = 0; i < MESSAGES; i++) {
        while (__atomic_load_n(&ring[i % RING], __ATOMIC_ACQUIRE) != NULL)
            sched_yield();
        __atomic_store_n(&ring[i % RING], alloc_one(), __ATOMIC_RELEASE);
    }
}

START_TEST(blocks_freed_by_another_thread_find_their_way)
{
    pthread_t thread;
    init(plain);
    ck_assert_int_eq(pthread_create(&thread, NULL, consume, NULL), 0);
    produce();
    pthread_join(thread, NULL);
    tagpool_lookaside_stats_t now = stats();
    ck_assert_uint_eq(now.total_frees, MESSAGES);
    ck_assert_uint_le(now.allocate_misses, MESSAGES / 100);
    ck_assert_uint_le(now.cached, TAGPOOL_LOOKASIDE_DEPTH_MAX + 2 * 32);
    check_sums();
    ck_assert_uint_eq(tagpool_lookaside_destroy(&list), 0);
}
END_TEST

START_TEST(many_threads_lose_nothing)
{
    enum { THREADS = 4 };
    pthread_t threads[THREADS];
    init(plain);
    for (uintptr_t i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, exchange, (void *)(i + 1)), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    free_blocks(64);
    ck_assert_uint_eq(stats().outstanding, 0);
    check_sums();
    ck_assert_uint_eq(tagpool_lookaside_destroy(&list), 0);
    ck_assert_uint_eq(live_blocks(), 0);
}
END_TEST

/* --- fork ----------------------------------------------------------------------------------------------------- */

static void child_goes_on(void)
{
    tagpool_lookaside_stats_t now = stats();
    ck_assert_uint_eq(now.outstanding, 10);
    ck_assert_uint_eq(now.total_frees, 0);
    check_sums();
    free_blocks(10);
    alloc_blocks(300);
    check_sums();
    free_blocks(300);
    ck_assert_uint_eq(tagpool_lookaside_destroy(&list), 0);
    ck_assert_uint_eq(live_blocks(), 0);
}

START_TEST(a_child_goes_on_with_the_list)
{
    int status;
    init(plain);
    deepen();
    alloc_blocks(10);
    tagpool_lookaside_stats_t before = stats();
    pid_t child = fork();
    if (child == 0) {
        child_goes_on();
        _exit(0);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    tagpool_lookaside_stats_t after = stats();
    ck_assert_uint_eq(after.total_allocates, before.total_allocates);
    ck_assert_uint_eq(after.cached, before.cached);
    free_blocks(10);
    ck_assert_uint_eq(tagpool_lookaside_destroy(&list), 0);
}
END_TEST

/* Whatever allocation fails: it is said, and nothing is lost. */
static void with_failures(void)
{
    enum { CALLS = 100 };
    size_t count = 0;
    if (tagpool_lookaside_init(&list, &plain) != 0) {
        fault_must(errno == ENOMEM);
        fault_must_be_empty(TAGPOOL_PAGED, TAG);
        return;
    }
    for (int i = 0; i < CALLS; i++) {
        errno = 0;
        blocks[count] = tagpool_lookaside_alloc(&list);
        fault_must(blocks[count] != NULL || errno == ENOMEM);
        count += blocks[count] != NULL;
    }
    fault_must(count >= CALLS - 1);
    while (count > 0)
        tagpool_lookaside_free(&list, blocks[--count]);
    fault_must(tagpool_lookaside_destroy(&list) == 0);
    fault_must_be_empty(TAGPOOL_PAGED, TAG);
}

START_TEST(each_allocation_may_fail)
{
    ck_assert_uint_gt(fault_each(with_failures), 100);
}
END_TEST

UNIT_MAIN("lookaside", wrong_options_are_einval, a_block_comes_back_as_it_was, calls_and_misses_are_counted,
          depth_grows_by_misses_and_falls_with_demand, a_lower_maximum_is_kept, own_routines_get_the_list,
          constructors_run_once_in_the_life_of_a_block, a_constructor_that_fails_fails_the_call,
          blocks_still_out_are_told, lists_come_and_go_without_end,
          more_lists_than_hands_work_too, flush_leaves_nothing,
          what_an_ended_thread_had_is_not_lost, destroy_takes_what_other_threads_have_at_hand,
          blocks_freed_by_another_thread_find_their_way, many_threads_lose_nothing, a_child_goes_on_with_the_list,
          each_allocation_may_fail)
