/*
 * M1 to M3, step by step: who holds a freed block when its page's owner is there, idle, gone or replaced.
 */
#include "unit.h"

#include "alloc.h"
#include "fast.h"
#include "mail.h"
#include "span.h"
#include "start.h"

#include <tagpool/tagpool.h>

#include <pthread.h>
#include <semaphore.h>

#define TAG TAGPOOL_TAG('M', 'a', 'i', 'l')
enum { BLOCKS = 2000 };

/* A thread that does one job, then waits until it may end. */
struct worker {
    pthread_t thread;
    sem_t done, end;
    void (*job)(void);
    struct tp_thread *record;
};

static void *blocks[BLOCKS];

static void *worker_main(void *argument)
{
    struct worker *worker = argument;
    worker->job();
    worker->record = tp_thread_self();
    sem_post(&worker->done);
    sem_wait(&worker->end);
    return NULL;
}

static void worker_start(struct worker *worker, void (*job)(void))
{
    worker->job = job;
    sem_init(&worker->done, 0, 0);
    sem_init(&worker->end, 0, 0);
    ck_assert_int_eq(pthread_create(&worker->thread, NULL, worker_main, worker), 0);
    sem_wait(&worker->done);
}

static void worker_end(struct worker *worker)
{
    sem_post(&worker->end);
    pthread_join(worker->thread, NULL);
}

static void alloc_size(size_t size)
{
    for (int i = 0; i < BLOCKS; i++)
        blocks[i] = tagpool_alloc(TAGPOOL_PAGED, size, TAG);
}

static void alloc_all(void)
{
    alloc_size(64);
}

static void free_range(int first, int end)
{
    for (int i = first; i < end; i++)
        tagpool_free(blocks[i]);
}

static void free_all(void)
{
    free_range(0, BLOCKS);
    tp_mail_flush(tp_thread_self());
}

static void check_account(uint64_t allocs, uint64_t frees)
{
    struct tagpool_stats stats;
    ck_assert_int_eq(tagpool_stats(TAGPOOL_PAGED, TAG, &stats), 0);
    ck_assert_uint_eq(stats.allocs, allocs);
    ck_assert_uint_eq(stats.frees, frees);
}

enum { FEW = TP_MAIL_BYTES / 64 - 1 };

static void free_few(void)
{
    free_range(0, FEW);
}

START_TEST(a_few_blocks_wait)
{
    struct worker worker;
    alloc_all();
    struct tp_thread *self = tp_thread_self();
    worker_start(&worker, free_few);
    ck_assert_uint_eq(worker.record->waiting, FEW * 64);
    ck_assert_ptr_null(self->mail);
    check_account(BLOCKS, FEW); /* counted, though they wait */
    worker_end(&worker);
    ck_assert_ptr_nonnull(self->mail); /* its end sends what waited */
    tp_mail_collect(self);
    ck_assert_ptr_null(self->mail);
    check_account(BLOCKS, FEW);
}
END_TEST

static void free_many(void)
{
    free_range(0, FEW + 1);
}

START_TEST(what_waits_is_bounded_by_bytes)
{
    struct worker worker;
    alloc_all();
    worker_start(&worker, free_many);
    ck_assert_uint_eq(worker.record->waiting, 0);
    ck_assert_ptr_nonnull(tp_thread_self()->mail);
    worker_end(&worker);
}
END_TEST

static void free_two(void)
{
    free_range(0, 2);
}

START_TEST(large_blocks_do_not_wait_long)
{
    struct worker worker;
    alloc_size(TP_MAIL_BYTES / 4 / 2);
    worker_start(&worker, free_two);
    ck_assert_uint_eq(worker.record->waiting, 0);
    ck_assert_ptr_nonnull(tp_thread_self()->mail);
    worker_end(&worker);
}
END_TEST

static void *others_blocks[BLOCKS];

static void free_of_two_owners(void)
{
    for (int i = 0; i < BLOCKS; i++) {
        tagpool_free(blocks[i]);
        tagpool_free(others_blocks[i]);
    }
}

static void alloc_others(void)
{
    for (int i = 0; i < BLOCKS; i++)
        others_blocks[i] = tagpool_alloc(TAGPOOL_PAGED, 64, TAG);
}

START_TEST(each_owner_gets_its_own)
{
    struct worker owner, freer;
    alloc_all();
    worker_start(&owner, alloc_others);
    worker_start(&freer, free_of_two_owners);
    worker_end(&freer);
    ck_assert_ptr_nonnull(tp_thread_self()->mail);
    ck_assert_ptr_nonnull(owner.record->mail);
    worker_end(&owner);
    tp_mail_collect(tp_thread_self());
    check_account(2 * BLOCKS, 2 * BLOCKS);
    ck_assert_uint_le(tp_span_used_bytes(), 4 * TP_UNIT); /* what is kept for the next call */
}
END_TEST

START_TEST(mail_comes_back_into_use)
{
    struct worker worker;
    alloc_all();
    size_t used = tp_span_used_bytes();
    worker_start(&worker, free_all);
    worker_end(&worker);
    for (int round = 0; round < 20; round++) {
        alloc_all();
        worker_start(&worker, free_all);
        worker_end(&worker);
    }
    ck_assert_uint_le(tp_span_used_bytes(), used + 4 * TP_UNIT);
    check_account(21 * BLOCKS, 21 * BLOCKS);
}
END_TEST

START_TEST(orphans_pages_go_when_their_blocks_do)
{
    struct worker worker;
    tagpool_free(tagpool_alloc(TAGPOOL_PAGED, 64, TAG));
    size_t before = tp_span_used_bytes();
    worker_start(&worker, alloc_all);
    ck_assert_uint_gt(tp_span_used_bytes(), before);
    worker_end(&worker);
    free_all();
    ck_assert_uint_le(tp_span_used_bytes(), before);
    check_account(BLOCKS + 1, BLOCKS + 1);
}
END_TEST

START_TEST(a_dead_thread_s_pages_are_claimed)
{
    struct worker worker;
    worker_start(&worker, alloc_all);
    worker_end(&worker);
    free_range(0, BLOCKS / 2);
    size_t used = tp_span_used_bytes();
    for (int i = 0; i < BLOCKS / 2; i++)
        blocks[i] = tagpool_alloc(TAGPOOL_PAGED, 64, TAG);
    ck_assert_uint_le(tp_span_used_bytes(), used + 2 * TP_UNIT); /* a mixed page, and one of its own */
    check_account(BLOCKS + BLOCKS / 2, BLOCKS / 2);
}
END_TEST

static void nothing(void)
{
}

/* The parcel waits while its owner's record ends and is taken by another thread. */
START_TEST(mail_for_a_record_in_new_hands_finds_its_page)
{
    struct worker first, second;
    tagpool_free(tagpool_alloc(TAGPOOL_PAGED, 64, TAG));
    size_t before = tp_span_used_bytes();
    worker_start(&first, alloc_all);
    struct tp_thread *record = first.record;
    free_range(0, 5);
    ck_assert_uint_gt(tp_thread_self()->waiting, 0);
    worker_end(&first);
    worker_start(&second, nothing);
    ck_assert_ptr_eq(second.record, record);
    tp_mail_flush(tp_thread_self());
    worker_end(&second);
    ck_assert_ptr_null(record->mail);
    free_range(5, BLOCKS);
    tp_mail_flush(tp_thread_self());
    ck_assert_uint_le(tp_span_used_bytes(), before);
    check_account(BLOCKS + 1, BLOCKS + 1);
}
END_TEST

START_TEST(mail_for_a_record_that_is_free_finds_its_page)
{
    struct worker first;
    tagpool_free(tagpool_alloc(TAGPOOL_PAGED, 64, TAG));
    size_t before = tp_span_used_bytes();
    worker_start(&first, alloc_all);
    free_range(0, 5);
    worker_end(&first);
    ck_assert_uint_eq(first.record->state, TP_THREAD_FREE);
    tp_mail_flush(tp_thread_self());
    ck_assert_ptr_null(first.record->mail);
    free_range(5, BLOCKS);
    tp_mail_flush(tp_thread_self());
    ck_assert_uint_le(tp_span_used_bytes(), before);
}
END_TEST

UNIT_MAIN("mail", a_few_blocks_wait, what_waits_is_bounded_by_bytes, large_blocks_do_not_wait_long,
          each_owner_gets_its_own, mail_comes_back_into_use, orphans_pages_go_when_their_blocks_do,
          a_dead_thread_s_pages_are_claimed, mail_for_a_record_in_new_hands_finds_its_page,
          mail_for_a_record_that_is_free_finds_its_page)
