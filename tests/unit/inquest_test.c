/*
 * The inquest itself: amid other threads, where little is allowed, and unnoticed by the program.
 */
#include "child.h"
#include "leak_look.h"
#include "unit.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* --- other threads -------------------------------------------------------------------------------------------- */

static __thread void *volatile local;

static pthread_barrier_t barrier;
static int pipe_ends[2];

static void *hold_on_stack(void *argument)
{
    void *volatile here = make(SIZE);
    local = make(SIZE);
    pthread_barrier_wait(&barrier);
    char c;
    ck_assert_int_eq(read(pipe_ends[0], &c, 1), 1);
    ck_assert_ptr_nonnull(here);
    return argument;
}

/* Never on its stack, once it waits. */
static void *hold_in_a_call(void *argument)
{
    pthread_barrier_wait(&barrier);
#if defined(__x86_64__)
    do_deep(make_one);
    long result;
    do
        __asm__ volatile("movq %1, %%rsi\n\tnotq %%rsi\n\tsyscall\n\txorl %%esi, %%esi"
                         : "=a"(result)
                         : "m"(hidden[0]), "0"(SYS_read), "D"(pipe_ends[0]), "d"(1)
                         : "rsi", "rcx", "r11", "memory");
    while (result == -EINTR);
    return argument;
#else
    return hold_on_stack(argument);
#endif
}

static void start(pthread_t *thread, void *(*routine)(void *))
{
    ck_assert_int_eq(pipe(pipe_ends), 0);
    pthread_barrier_init(&barrier, NULL, 2);
    ck_assert_int_eq(pthread_create(thread, NULL, routine, NULL), 0);
    pthread_barrier_wait(&barrier);
    usleep(100000);
}

static void stop(pthread_t thread)
{
    ck_assert_int_eq(write(pipe_ends[1], "", 1), 1);
    pthread_join(thread, NULL);
}

START_TEST(other_threads_stacks_and_variables_are_roots)
{
    pthread_t thread;
    start(&thread, hold_on_stack);
    look();
    expect(TAG, 0, 0, 2);
    stop(thread);
}
END_TEST

START_TEST(arguments_of_calls_that_threads_wait_in_are_roots)
{
    pthread_t thread;
    begin();
    start(&thread, hold_in_a_call);
    look();
    expect(TAG, 0, 0, 1);
    stop(thread);
}
END_TEST

/* Another thread has a block in hand at the first look, and puts it down before the second. */
static bool is_put_down;

void __real_tp_os_sleep_ms(uint32_t ms);
void __wrap_tp_os_sleep_ms(uint32_t ms);

void __wrap_tp_os_sleep_ms(uint32_t ms)
{
    if (is_put_down)
        kept = (void *)~hidden[0];
    __real_tp_os_sleep_ms(ms);
}

static void look_while_in_hand(void)
{
    pthread_t thread;
    start(&thread, hold_on_stack);
    do_deep(make_one);
    look();
    stop(thread);
}

START_TEST(what_is_in_a_thread_s_hand_once_is_not_lost)
{
    begin();
    is_put_down = true;
    look_while_in_hand();
    expect(TAG, 0, 0, 3);
}
END_TEST

START_TEST(what_is_lost_twice_is_lost)
{
    begin();
    look_while_in_hand();
    expect(TAG, 1, 0, 2);
}
END_TEST

static volatile bool enough;

/* Its block is in a register, in quarantine, on the way home: but the same one never in two looks. */
static void *be_busy(void *argument)
{
    pthread_barrier_wait(&barrier);
    for (size_t size = 16; !enough; size = size % 2048 + 16) {
        char *block = tagpool_alloc(TAGPOOL_PAGED, size, TAG);
        __asm__ volatile("" : : "r"(block) : "memory");
        tagpool_free(block);
    }
    return argument;
}

START_TEST(threads_that_run_are_no_false_alarm)
{
    pthread_t thread;
    setenv("TAGPOOL_VERIFY", "leaks", 1);
    start(&thread, be_busy);
    for (int i = 0; i < 20; i++) {
        look();
        ck_assert_uint_eq(blocks_of(TAG, TAGPOOL_REPORT_LOST), 0);
    }
    enough = true;
    pthread_join(thread, NULL);
}
END_TEST

/* --- where little is allowed ---------------------------------------------------------------------------------- */

/* What containers refuse, and what a process that may not be dumped is refused. */
static void forbid(void)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_ptrace, 3, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_process_vm_readv, 2, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_userfaultfd, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
    };
    const struct sock_fprog program = {sizeof(filter) / sizeof(filter[0]), filter};
    ck_assert_int_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    ck_assert_int_eq(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0), 0);
    if (geteuid() == 0)
        ck_assert_int_eq(setresuid(65534, 65534, 65534), 0);
    ck_assert_int_eq(prctl(PR_SET_DUMPABLE, 0, 0, 0, 0), 0);
    ck_assert_int_eq(syscall(SYS_ptrace, 0, 0, 0, 0), -1);
}

/* Three pages of four cannot be read, for they lie beyond the file's end. */
static void make_cut_off(void)
{
    FILE *file = tmpfile();
    ck_assert_int_eq(ftruncate(fileno(file), 4096), 0);
    void **pages = mmap(NULL, 16384, PROT_READ | PROT_WRITE, MAP_PRIVATE, fileno(file), 0);
    ck_assert_ptr_ne(pages, MAP_FAILED);
    pages[5] = make(SIZE);
}

/* Nor which pages are the process's own: all are read. */
START_TEST(no_right_to_trace_is_needed)
{
    pthread_t thread;
    begin();
    do_deep(make_cut_off);
    forbid();
    start(&thread, hold_on_stack);
    do_deep(make_one);
    look();
    expect(TAG, 1, 0, 3);
    stop(thread);
}
END_TEST

static volatile sig_atomic_t signals;

static void count_signal(int number)
{
    (void)number;
    signals++;
}

/* The program hears nothing of the twin. */
START_TEST(the_program_does_not_notice)
{
    struct sigaction action = {.sa_handler = count_signal};
    int status;
    ck_assert_int_eq(sigaction(SIGCHLD, &action, NULL), 0);
    do_deep(make_kept);
    for (int i = 0; i < 10; i++)
        look();
    ck_assert_int_eq(signals, 0);
    ck_assert_int_eq(waitpid(-1, &status, WNOHANG), -1);
    ck_assert_int_eq(errno, ECHILD);
    sigset_t set;
    sigprocmask(SIG_BLOCK, NULL, &set);
    ck_assert_int_eq(sigismember(&set, SIGINT), 0);
}
END_TEST

static void look_in_child(void *argument)
{
    do_deep(make_one);
    look();
    expect(TAG, 1, 0, 1);
    for (int i = 0; i < 100; i++)
        tagpool_free(make(SIZE));
    look();
    expect(TAG, 1, 0, 1);
}

START_TEST(a_forked_child_looks_at_itself)
{
    do_deep(make_kept);
    struct child_result result = child_run(look_in_child, NULL);
    ck_assert_msg(child_succeeded(&result), "%s", result.text);
    look();
    expect(TAG, 0, 0, 1);
}
END_TEST

static struct node *make_tree(int depth)
{
    struct node *node = make(sizeof(*node));
    if (depth > 0) {
        node->next = make_tree(depth - 1);
        node->other = make_tree(depth - 1);
    }
    return node;
}

static void make_large_tree(void)
{
    kept = make_tree(19);
}

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

START_TEST(a_million_blocks_take_seconds)
{
    do_deep(make_large_tree);
    double before = now();
    look();
    ck_assert_double_lt(now() - before, 10);
    expect(TAG, 0, 0, (1 << 20) - 1);
    kept = NULL;
    look();
    expect(TAG, (1 << 20) - 1, 0, 0);
}
END_TEST

LEAK_MAIN("inquest", other_threads_stacks_and_variables_are_roots, arguments_of_calls_that_threads_wait_in_are_roots,
          what_is_in_a_thread_s_hand_once_is_not_lost, what_is_lost_twice_is_lost, threads_that_run_are_no_false_alarm,
          no_right_to_trace_is_needed, the_program_does_not_notice, a_forked_child_looks_at_itself,
          a_million_blocks_take_seconds)
