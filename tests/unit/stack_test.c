/*
 * S1 to S3: each stack once, whoever puts it, whatever fails; and the same hash in every run.
 */
#include "child.h"
#include "dice.h"
#include "fault.h"
#include "unit.h"

#include "frame_chain.h"
#include "lock.h"
#include "stack.h"

#include <tagpool.h>

#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { THREADS = 4, STACKS = 100000 };

/* What the stacks of this file are made of: the n-th, of 1 to TP_STACK_FRAMES frames. */
static unsigned make_stack(uint64_t n, uintptr_t *frames)
{
    struct dice dice = {n + 1};
    dice_roll(&dice);
    unsigned count = 1 + (unsigned)dice_below(&dice, TP_STACK_FRAMES);
    for (unsigned i = 0; i < count; i++)
        frames[i] = 0x7f0000000000 + dice_below(&dice, 1 << 20);
    frames[0] = n;
    return count;
}

static uint32_t put_made(uint64_t n)
{
    uintptr_t frames[TP_STACK_FRAMES];
    unsigned count = make_stack(n, frames);
    return tp_stack_put(frames, count);
}

static bool is_made(uint64_t n, uint32_t number)
{
    uintptr_t frames[TP_STACK_FRAMES];
    const uintptr_t *kept;
    unsigned count = make_stack(n, frames);
    return tp_stack_get(number, &kept) == count && memcmp(kept, frames, count * sizeof(frames[0])) == 0;
}

static void start(void)
{
    void *block = tagpool_alloc(TAGPOOL_PAGED, 1, TAGPOOL_TAG('S', 't', 'c', 'k'));
    ck_assert_ptr_nonnull(block);
    tagpool_free(block);
}

START_TEST(equal_stacks_have_one_number)
{
    start();
    for (uint64_t n = 0; n < 1000; n++) {
        uint32_t number = put_made(n);
        ck_assert_uint_ne(number, 0);
        ck_assert_uint_eq(put_made(n), number);
        ck_assert(is_made(n, number));
        for (uint64_t other = n < 10 ? 0 : n - 10; other < n; other++)
            ck_assert_uint_ne(put_made(other), number);
    }
    ck_assert_uint_eq(tp_stack_totals().kept_total, 1000);
    ck_assert_uint_eq(tp_stack_totals().lost_total, 0);
}
END_TEST

START_TEST(the_beginning_of_a_stack_is_another_one)
{
    uintptr_t frames[TP_STACK_FRAMES + 1] = {0};
    const uintptr_t *kept;
    start();
    ck_assert_uint_eq(tp_stack_put(frames, 0), 0);
    ck_assert_uint_eq(tp_stack_get(0, &kept), 0);
    ck_assert_uint_eq(tp_stack_get(UINT32_MAX, &kept), 0);
    uint32_t last = 0;
    for (unsigned count = 1; count <= TP_STACK_FRAMES; count++) {
        uint32_t number = tp_stack_put(frames, count);
        ck_assert_uint_gt(number, last);
        ck_assert_uint_eq(tp_stack_get(number, &kept), count);
        last = number;
    }
    ck_assert_uint_eq(tp_stack_put(frames, TP_STACK_FRAMES + 1), last);
    ck_assert_uint_eq(tp_stack_totals().lost_total, 0);
}
END_TEST

static uint32_t numbers[THREADS][STACKS];
static pthread_barrier_t barrier;

static void *put_all(void *argument)
{
    uint32_t *mine = argument;
    pthread_barrier_wait(&barrier);
    for (uint64_t n = 0; n < STACKS; n++)
        mine[n] = put_made(n);
    return argument;
}

START_TEST(threads_that_put_the_same_get_the_same)
{
    pthread_t threads[THREADS];
    start();
    pthread_barrier_init(&barrier, NULL, THREADS);
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, put_all, numbers[i]), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    for (uint64_t n = 0; n < STACKS; n++) {
        ck_assert_uint_ne(numbers[0][n], 0);
        for (int i = 1; i < THREADS; i++)
            ck_assert_uint_eq(numbers[i][n], numbers[0][n]);
        ck_assert(is_made(n, numbers[0][n]));
    }
    ck_assert_uint_eq(tp_stack_totals().kept_total, STACKS);
}
END_TEST

/* --- no memory ------------------------------------------------------------------------------------------------ */

START_TEST(a_full_depot_keeps_what_it_has)
{
    tp_stack_limit = 8 * TP_MIB;
    start();
    uint64_t full = 0;
    while (put_made(full) != 0)
        full++;
    ck_assert_uint_gt(full, 1000);
    ck_assert_uint_eq(tp_stack_totals().kept_total, full);
    ck_assert_uint_eq(tp_stack_totals().lost_total, 1);
    ck_assert_uint_le(tp_stack_totals().bytes, tp_stack_limit - 5 * TP_MIB);
    for (uint64_t n = 0; n < full; n++)
        ck_assert(is_made(n, put_made(n)));
    ck_assert_uint_eq(tp_stack_totals().lost_total, 1);
}
END_TEST

START_TEST(a_limited_address_space_has_a_small_depot)
{
    struct rlimit limit = {TP_GIB, TP_GIB};
    ck_assert_int_eq(setrlimit(RLIMIT_AS, &limit), 0);
    start();
    for (uint64_t n = 0; n < 1000; n++)
        ck_assert(is_made(n, put_made(n)));
}
END_TEST

START_TEST(without_address_space_stacks_are_lost)
{
    tp_stack_limit = TP_MIB;
    start();
    const uintptr_t *kept;
    ck_assert_uint_eq(put_made(1), 0);
    ck_assert_uint_eq(put_made(1), 0);
    ck_assert_uint_eq(tp_stack_get(1, &kept), 0);
    ck_assert_uint_eq(tp_stack_totals().lost_total, 2);
    ck_assert_uint_eq(tp_stack_totals().kept_total, 0);
}
END_TEST

/* The n-th step of memory is refused: what was kept stays, and later stacks are kept again. */
static void put_with_faults(void)
{
    uint64_t lost = 0;
    for (uint64_t n = 0; n < 12000; n++) {
        uint32_t number = put_made(n);
        lost += number == 0;
        fault_must(number == 0 || is_made(n, number));
    }
    fault_must(tp_stack_totals().lost_total == lost && lost <= 1);
    for (uint64_t n = 0; n < 12000; n++)
        fault_must(is_made(n, put_made(n)));
}

START_TEST(a_step_that_is_refused_loses_one_stack)
{
    start();
    ck_assert_uint_ge(fault_each(put_with_faults), 3);
}
END_TEST

/* --- forks and signals ---------------------------------------------------------------------------------------- */

static volatile sig_atomic_t handled;
static uint32_t handled_number;

static void put_in_handler(int signal)
{
    (void)signal;
    handled++;
    handled_number = put_made((uint64_t)handled);
}

static bool is_over;

static void *interrupt(void *argument)
{
    for (int i = 0; i < 500; i++) {
        pthread_kill(*(pthread_t *)argument, SIGUSR1);
        usleep(20);
    }
    tp_poke(&is_over, true);
    return argument;
}

START_TEST(a_handler_may_put_what_it_interrupted)
{
    pthread_t self = pthread_self(), other;
    start();
    signal(SIGUSR1, put_in_handler);
    ck_assert_int_eq(pthread_create(&other, NULL, interrupt, &self), 0);
    for (uint64_t n = 0; !tp_peek(&is_over) || n < STACKS; n++)
        ck_assert(is_made(n % STACKS, put_made(n % STACKS)));
    pthread_join(other, NULL);
    ck_assert(is_made((uint64_t)handled, handled_number));
}
END_TEST

static void *put_until_over(void *argument)
{
    for (uint64_t n = STACKS; !tp_peek(&is_over); n++)
        put_made(n % (2 * STACKS));
    return argument;
}

/* No handler runs at such a fork. */
static pid_t fork_raw(void)
{
    return (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
}

static bool put_in_child(void)
{
    for (uint64_t n = 0; n < 2000; n++)
        if (!is_made(n, put_made(n)))
            return false;
    return true;
}

START_TEST(a_fork_amid_insertions_leaves_nothing_behind)
{
    pthread_t threads[THREADS];
    start();
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, put_until_over, NULL), 0);
    for (int i = 0; i < 50; i++) {
        pid_t child = fork_raw();
        if (child == 0)
            _Exit(put_in_child() ? 0 : 1);
        int status;
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        ck_assert_int_eq(status, 0);
    }
    tp_poke(&is_over, true);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
}
END_TEST

/* --- hashes --------------------------------------------------------------------------------------------------- */

static uintptr_t leaf_frames[TP_STACK_FRAMES];
static unsigned leaf_count;

static __attribute__((noinline)) void leaf(void)
{
    struct tp_call call = {(uintptr_t)__builtin_return_address(0), (uintptr_t)__builtin_dwarf_cfa()};
    leaf_count = tp_stack_capture(&call, leaf_frames, TP_STACK_FRAMES);
}

/* A chain through the program and libc, up to the caller of the program's main function. */
static uint64_t hash_of_chain(int shape)
{
    chain_without_fp(shape, leaf);
    return tp_stack_hash(leaf_frames, leaf_count);
}

START_TEST(the_hash_tells_stacks_apart)
{
    uint64_t hashes[CHAIN_SHAPES];
    for (int i = 0; i < CHAIN_SHAPES; i++) {
        hashes[i] = hash_of_chain(i);
        for (int j = 0; j < i; j++)
            ck_assert_uint_ne(hashes[i], hashes[j]);
    }
    uint64_t whole = tp_stack_hash(leaf_frames, leaf_count);
    ck_assert_uint_ne(tp_stack_hash(leaf_frames, leaf_count - 1), whole);
    leaf_frames[1]++;
    ck_assert_uint_ne(tp_stack_hash(leaf_frames, leaf_count), whole);
}
END_TEST

/* Code in no library has no place that another run would know. */
START_TEST(generated_code_is_one_place)
{
    static char data[64 * 4096];
    uintptr_t stack = (uintptr_t)&stack, other = stack + 8;
    ck_assert_uint_eq(tp_stack_hash(&stack, 1), tp_stack_hash(&other, 1));
    uintptr_t program = (uintptr_t)data + 1;
    ck_assert_uint_ne(tp_stack_hash(&stack, 1), tp_stack_hash(&program, 1));
}
END_TEST

/* This program run again, which prints where it was loaded, and the hash. */
static void ask_again(uintptr_t *place, uint64_t *hash)
{
    FILE *again = popen("TEST_PRINT_HASH=1 /proc/$PPID/exe", "r");
    ck_assert_ptr_nonnull(again);
    ck_assert_int_eq(fscanf(again, "%lx %lx", place, hash), 2);
    ck_assert_int_eq(pclose(again), 0);
}

START_TEST(the_hash_is_the_same_in_every_run)
{
    uintptr_t place[8], moved = 0;
    uint64_t hash[8];
    for (int i = 0; i < 8; i++) {
        ask_again(&place[i], &hash[i]);
        ck_assert_uint_eq(hash[i], hash[0]);
        moved |= place[i] ^ place[0];
    }
    if (moved == 0)
        printf("load addresses are not random here\n");
}
END_TEST

static int print_hash(void)
{
    uint64_t hash = hash_of_chain(4);
    printf("%lx %lx\n", (uintptr_t)print_hash, hash);
    return leaf_count > 5 ? 0 : 1;
}

int main(void)
{
    const TTest *const tests[] = {
        equal_stacks_have_one_number,
        the_beginning_of_a_stack_is_another_one,
        threads_that_put_the_same_get_the_same,
        a_full_depot_keeps_what_it_has,
        a_limited_address_space_has_a_small_depot,
        without_address_space_stacks_are_lost,
        a_step_that_is_refused_loses_one_stack,
        a_handler_may_put_what_it_interrupted,
        a_fork_amid_insertions_leaves_nothing_behind,
        the_hash_tells_stacks_apart,
        generated_code_is_one_place,
        the_hash_is_the_same_in_every_run,
    };
    if (getenv("TEST_PRINT_HASH") != NULL)
        return print_hash();
    return unit_run("stack", tests, sizeof(tests) / sizeof(tests[0]));
}
