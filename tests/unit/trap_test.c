#include "child.h"
#include "fault.h"
#include "os.h"
#include "trap.h"
#include "unit.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile sig_atomic_t calls;

static void count(int number)
{
    (void)number;
    calls++;
}

static void count_more(int number)
{
    calls += number;
}

static struct sigaction kept(int number)
{
    struct sigaction action;
    memset(&action, 0xff, sizeof(action));
    ck_assert(tp_trap_set_action(number, NULL, &action));
    return action;
}

static struct sigaction system_has(int number)
{
    struct sigaction action;
    ck_assert_int_eq(tp_os_signal_action(number, NULL, &action), 0);
    return action;
}

static void set(int number, void (*handler)(int))
{
    const struct sigaction action = {.sa_handler = handler};
    ck_assert(tp_trap_set_action(number, &action, NULL));
}

START_TEST(without_traps_nothing_is_kept)
{
    struct sigaction action = {.sa_handler = count}, old = {.sa_handler = count_more};
    ck_assert(!tp_trap_has(SIGSEGV));
    ck_assert(!tp_trap_set_action(SIGSEGV, &action, &old));
    ck_assert(old.sa_handler == count_more);
    tp_trap_adopt();
    tp_trap_begin_exec();
    tp_trap_end_exec();
    ck_assert(!tp_trap_has(SIGSEGV));
    ck_assert(system_has(SIGSEGV).sa_handler == SIG_DFL);
}
END_TEST

START_TEST(what_was_set_before_is_kept)
{
    struct sigaction action = {.sa_handler = count, .sa_flags = SA_NODEFER};
    ck_assert_int_eq(tp_os_signal_action(SIGBUS, &action, NULL), 0);
    tp_trap_install();
    ck_assert(tp_trap_has(SIGSEGV) && tp_trap_has(SIGBUS) && !tp_trap_has(SIGUSR1));
    ck_assert(!tp_trap_set_action(SIGUSR1, &action, NULL));
    ck_assert(kept(SIGSEGV).sa_handler == SIG_DFL);
    ck_assert(kept(SIGBUS).sa_handler == count && (kept(SIGBUS).sa_flags & SA_NODEFER) != 0);
    ck_assert(system_has(SIGBUS).sa_handler != count);
    tp_trap_install();
    ck_assert(kept(SIGBUS).sa_handler == count);
    raise(SIGBUS);
    ck_assert_int_eq(calls, 1);
}
END_TEST

START_TEST(the_system_calls_ours_as_asked_for)
{
    struct sigaction action = {.sa_handler = count, .sa_flags = SA_NODEFER | SA_RESTART};
    tp_trap_install();
    int flags = system_has(SIGSEGV).sa_flags;
    ck_assert((flags & SA_SIGINFO) && (flags & SA_ONSTACK) && !(flags & SA_NODEFER));
    sigaddset(&action.sa_mask, SIGUSR2);
    ck_assert(tp_trap_set_action(SIGSEGV, &action, NULL));
    flags = system_has(SIGSEGV).sa_flags;
    ck_assert((flags & SA_SIGINFO) && !(flags & SA_ONSTACK) && (flags & SA_NODEFER) && (flags & SA_RESTART));
    ck_assert(sigismember(
        &(struct sigaction[]) { system_has(SIGSEGV) } -> sa_mask, SIGUSR2));
}
END_TEST

START_TEST(what_is_ignored_is_so_for_another_program)
{
    tp_trap_install();
    set(SIGSEGV, SIG_IGN);
    set(SIGBUS, count);
    ck_assert(system_has(SIGSEGV).sa_handler != SIG_IGN);
    void (*ours)(int) = system_has(SIGBUS).sa_handler;
    tp_trap_begin_exec();
    ck_assert(system_has(SIGSEGV).sa_handler == SIG_IGN);
    ck_assert(system_has(SIGBUS).sa_handler == ours);
    tp_trap_end_exec();
    ck_assert(system_has(SIGSEGV).sa_handler == ours);
    ck_assert(kept(SIGSEGV).sa_handler == SIG_IGN);
}
END_TEST

static void set_in_child(void *argument)
{
    (void)argument;
    tp_trap_adopt();
    set(SIGSEGV, count_more);
    fault_must(system_has(SIGSEGV).sa_handler != count_more);
    raise(SIGSEGV);
    fault_must(calls == SIGSEGV && kept(SIGSEGV).sa_handler == count_more);
}

START_TEST(a_child_of_fork_has_traps)
{
    tp_trap_install();
    set(SIGSEGV, count);
    struct child_result result = child_run(set_in_child, NULL);
    ck_assert_msg(child_succeeded(&result), "%s", result.text);
    ck_assert(kept(SIGSEGV).sa_handler == count);
}
END_TEST

/* Nobody told us of this one: as in a child of vfork, what it sets is between it and the system. */
static void set_elsewhere(void *argument)
{
    (void)argument;
    fault_must(kept(SIGSEGV).sa_handler == count);
    set(SIGSEGV, count_more);
    fault_must(system_has(SIGSEGV).sa_handler == count_more);
    fault_must(kept(SIGSEGV).sa_handler == count_more);
    set(SIGSEGV, SIG_IGN);
    fault_must(system_has(SIGSEGV).sa_handler == SIG_IGN);
    fault_must(kept(SIGBUS).sa_handler == SIG_DFL);
}

START_TEST(a_child_that_is_not_known_of_has_none)
{
    tp_trap_install();
    set(SIGSEGV, count);
    struct child_result result = child_run(set_elsewhere, NULL);
    ck_assert_msg(child_succeeded(&result), "%s", result.text);
    raise(SIGSEGV);
    ck_assert_int_eq(calls, 1);
}
END_TEST

START_TEST(signals_that_are_held_come_later)
{
    uint64_t held = tp_os_signals_hold();
    signal(SIGUSR1, count);
    raise(SIGUSR1);
    ck_assert_int_eq(calls, 0);
    tp_os_signals_release(held);
    ck_assert_int_eq(calls, 1);
}
END_TEST

/* The race detector keeps what is set for signals to itself, and calls its own. */
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define TRAP_IS_OURS 0
#else
#define TRAP_IS_OURS 1
#endif

UNIT_MAIN_WHERE(TRAP_IS_OURS, "trap", without_traps_nothing_is_kept, what_was_set_before_is_kept,
                the_system_calls_ours_as_asked_for, what_is_ignored_is_so_for_another_program,
                a_child_of_fork_has_traps, a_child_that_is_not_known_of_has_none, signals_that_are_held_come_later)
