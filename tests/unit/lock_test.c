/*
 * L1, mutual exclusion, and the ways through the locks that fork needs.
 */
#include "unit.h"

#include "child.h"
#include "lock.h"

#include <pthread.h>
#include <string.h>

enum { THREADS = 4, ROUNDS = 50000 };

static uint64_t guarded; /* plain: only the lock keeps the sum right */

static void *add(void *argument)
{
    enum tp_lock_rank rank = *(enum tp_lock_rank *)argument;
    for (int i = 0; i < ROUNDS; i++) {
        tp_lock(rank);
        uint64_t value = tp_peek(&guarded);
        tp_poke(&guarded, value + 1);
        tp_unlock(rank);
    }
    return NULL;
}

START_TEST(one_at_a_time)
{
    pthread_t threads[THREADS];
    enum tp_lock_rank rank = TP_LOCK_SPANS;
    for (int i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, add, &rank);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    ck_assert_uint_eq(guarded, (uint64_t)THREADS * ROUNDS);
}
END_TEST

static void lock_downwards(void *argument)
{
    (void)argument;
    tp_lock(TP_LOCK_SPANS);
    tp_lock(TP_LOCK_TAGS);
}

static void lock_twice(void *argument)
{
    (void)argument;
    tp_lock(TP_LOCK_SPANS);
    tp_lock(TP_LOCK_SPANS);
}

static void lock_upwards(void *argument)
{
    (void)argument;
    for (int rank = 0; rank < TP_LOCK_COUNT; rank++)
        tp_lock((enum tp_lock_rank)rank);
    for (int rank = 0; rank < TP_LOCK_COUNT; rank++)
        tp_unlock((enum tp_lock_rank)rank);
    tp_lock(TP_LOCK_START);
    tp_unlock(TP_LOCK_START);
}

START_TEST(locks_are_taken_upwards_only)
{
    struct child_result up = child_run(lock_upwards, NULL);
    ck_assert_msg(child_succeeded(&up), "%s", up.text);
    struct child_result down = child_run(lock_downwards, NULL);
    ck_assert_msg(child_aborted(&down) && strstr(down.text, "invariant L1") != NULL, "%s", down.text);
    struct child_result twice = child_run(lock_twice, NULL);
    ck_assert_msg(child_aborted(&twice) && strstr(twice.text, "invariant L1") != NULL, "%s", twice.text);
}
END_TEST

static uint32_t entered;

static void *enter(void *argument)
{
    tp_lock(TP_LOCK_TAGS);
    tp_poke(&entered, 1);
    tp_unlock(TP_LOCK_TAGS);
    return argument;
}

START_TEST(the_forker_passes_and_nobody_else)
{
    pthread_t thread;
    tp_lock_acquire_all();
    pthread_create(&thread, NULL, enter, NULL);
    for (int i = 0; i < ROUNDS; i++)
        for (int rank = 0; rank < TP_LOCK_COUNT; rank++) {
            tp_lock((enum tp_lock_rank)rank);
            tp_unlock((enum tp_lock_rank)rank);
            ck_assert_uint_eq(tp_peek(&entered), 0);
        }
    tp_lock_release_all();
    pthread_join(thread, NULL);
    ck_assert_uint_eq(tp_peek(&entered), 1);
}
END_TEST

/* A child whose parent held locks in another thread. */
static void lock_after_reset(void *argument)
{
    (void)argument;
    tp_lock_reset_all();
    for (int rank = 0; rank < TP_LOCK_COUNT; rank++)
        tp_lock((enum tp_lock_rank)rank);
}

START_TEST(a_child_frees_every_lock)
{
    tp_lock_acquire_all();
    struct child_result result = child_run(lock_after_reset, NULL);
    ck_assert_msg(child_succeeded(&result), "%s", result.text);
    tp_lock_release_all();
}
END_TEST

UNIT_MAIN("lock", one_at_a_time, locks_are_taken_upwards_only, the_forker_passes_and_nobody_else,
          a_child_frees_every_lock)
