/*
 * Programs that use SIGSEGV and SIGBUS for their own ends, or die of them: as without whoever handles these signals
 * first.  Status 0 if so.
 */
#include "cases.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>

enum { PAGE = 4096, ROUNDS = 1000 };

static volatile sig_atomic_t calls;
static siginfo_t last;
static sigjmp_buf back;
static char *volatile nowhere = (char *)0x18;

static void set_flags(int number, void (*handler)(int, siginfo_t *, void *), int flags)
{
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | flags};
    must(sigaction(number, &action, NULL) == 0);
}

static void jump_back(int number, siginfo_t *info, void *context)
{
    must(context != NULL && info->si_signo == number);
    calls++;
    last = *info;
    siglongjmp(back, 1);
}

static void must_fault(char *at, int number)
{
    int before = calls;
    if (sigsetjmp(back, 1) == 0) {
        *(volatile char *)at = 1;
        must(!"a fault");
    }
    must(calls == before + 1 && last.si_signo == number);
}

/* --- crashes -------------------------------------------------------------------------------------------------- */

static void a_crash(void)
{
    *nowhere = 1;
}

static void *crash_in_thread(void *argument)
{
    *nowhere = 1;
    return argument;
}

static void a_crash_of_a_thread(void)
{
    pthread_t thread;
    must(pthread_create(&thread, NULL, crash_in_thread, NULL) == 0);
    pthread_join(thread, NULL);
}

static void an_address_that_is_none(void)
{
    *(volatile char *)(uintptr_t)0xdead000000000000u = 1;
}

static void a_jump_into_nowhere(void)
{
    ((void (*)(void))(uintptr_t)nowhere)();
}

static __attribute__((noinline)) int overflow(int depth)
{
    volatile char room[PAGE];
    room[depth % PAGE] = 1;
    return (depth >= 0 ? overflow(depth + 1) : 0) + room[0];
}

static void a_stack_overflow(void)
{
    overflow(0);
}

static void kill_of_oneself(void)
{
    kill(getpid(), SIGSEGV);
    pause();
}

static void raise_of_bus(void)
{
    raise(SIGBUS);
}

static void *raise_in_thread(void *argument)
{
    raise(SIGSEGV);
    return argument;
}

static void raise_of_a_thread(void)
{
    pthread_t thread;
    must(pthread_create(&thread, NULL, raise_in_thread, NULL) == 0);
    pthread_join(thread, NULL);
}

static void a_fault_that_is_ignored(void)
{
    signal(SIGSEGV, SIG_IGN);
    raise(SIGSEGV);
    kill(getpid(), SIGSEGV);
    calls++;
    *nowhere = 1;
}

/* The flag alone makes no handler. */
static void a_flag_without_a_handler(void)
{
    struct sigaction action = {.sa_handler = SIG_DFL, .sa_flags = SA_SIGINFO};
    must(sigaction(SIGSEGV, &action, NULL) == 0);
    *nowhere = 1;
}

/* --- handlers ------------------------------------------------------------------------------------------------- */

static void a_handler_is_told_what_and_where(void)
{
    set_flags(SIGSEGV, jump_back, 0);
    for (int i = 0; i < ROUNDS; i++) {
        must_fault(nowhere + i % 3, SIGSEGV);
        must(last.si_code == SEGV_MAPERR && last.si_addr == nowhere + i % 3);
    }
    must_fault((char *)(uintptr_t)0xdead000000000000u, SIGSEGV);
    must(last.si_code == SI_KERNEL);
}

static void note(int number, siginfo_t *info, void *context)
{
    must(context != NULL && info->si_signo == number);
    last = *info;
    calls++;
}

static void what_was_sent_says_by_whom(void)
{
    set_flags(SIGSEGV, note, 0);
    kill(getpid(), SIGSEGV);
    must(calls == 1 && last.si_code == SI_USER && last.si_pid == getpid());
    raise(SIGSEGV);
    must(calls == 2 && last.si_code == SI_TKILL && last.si_pid == getpid());
    must(sigqueue(getpid(), SIGSEGV, (union sigval){.sival_int = 77}) == 0);
    must(calls == 3 && last.si_code == SI_QUEUE && last.si_value.sival_int == 77);
}

static volatile pid_t handled_in;

static void note_thread(int number)
{
    (void)number;
    handled_in = (pid_t)syscall(SYS_gettid);
}

static void *raise_and_compare(void *argument)
{
    raise(SIGBUS);
    must(handled_in == (pid_t)syscall(SYS_gettid));
    return argument;
}

static void a_thread_gets_its_own(void)
{
    pthread_t thread;
    signal(SIGBUS, note_thread);
    must(pthread_create(&thread, NULL, raise_and_compare, NULL) == 0);
    must(pthread_join(thread, NULL) == 0);
    must(handled_in != 0 && handled_in != getpid());
}

static void note_errno(int number)
{
    (void)number;
    must(errno == 33);
    errno = 77;
}

static void errno_is_the_handlers(void)
{
    signal(SIGSEGV, note_errno);
    errno = 33;
    raise(SIGSEGV);
    must(errno == 77);
}

/* --- where execution goes on ---------------------------------------------------------------------------------- */

#if defined(__x86_64__)
#define CONTEXT_PC(context) ((context)->uc_mcontext.gregs[REG_RIP])
#else
#define CONTEXT_PC(context) ((context)->uc_mcontext.pc)
#endif

/* As runtimes of languages check pointers: the handler puts the machine where it goes on. */
static volatile int landed;

static void land(void)
{
    landed++;
    siglongjmp(back, 2);
}

static void send_to_landing(int number, siginfo_t *info, void *context)
{
    ucontext_t *state = context;
    must(info->si_signo == number && info->si_addr == nowhere);
    CONTEXT_PC(state) = (greg_t)(uintptr_t)land;
    calls++;
}

static void a_handler_may_send_it_elsewhere(void)
{
    set_flags(SIGSEGV, send_to_landing, SA_ONSTACK);
    for (volatile int i = 0; i < ROUNDS; i++)
        if (sigsetjmp(back, 0) == 0)
            *nowhere = 1;
    must(calls == ROUNDS && landed == ROUNDS);
}

static char *volatile guarded;

static void open_the_page(int number, siginfo_t *info, void *context)
{
    must(number == SIGSEGV && context != NULL && (char *)info->si_addr == guarded + 5);
    must(info->si_code == SEGV_ACCERR);
    must(mprotect(guarded, PAGE, PROT_READ | PROT_WRITE) == 0);
    calls++;
}

/* Barriers of garbage collectors: pages of blocks that the program protects by itself. */
static void a_program_may_protect_its_own_blocks(void)
{
    void *block;
    set_flags(SIGSEGV, open_the_page, 0);
    must(posix_memalign(&block, PAGE, PAGE) == 0);
    guarded = block;
    for (int i = 1; i <= 3; i++) {
        must(mprotect(guarded, PAGE, PROT_READ) == 0);
        guarded[5] = (char)i;
        must(guarded[5] == i && calls == i);
    }
    free(block);
}

/* --- once, again, within -------------------------------------------------------------------------------------- */

static void for_once(void)
{
    struct sigaction now;
    set_flags(SIGSEGV, jump_back, (int)SA_RESETHAND);
    must_fault(nowhere, SIGSEGV);
    must(sigaction(SIGSEGV, NULL, &now) == 0);
    must(now.sa_handler == SIG_DFL && (now.sa_flags & SA_RESETHAND) != 0);
}

static void what_is_set_for_once_is_set_for_once(void)
{
    for_once();
    for_once();
    for_once();
    *nowhere = 1;
}

static void fault_within(int number, siginfo_t *info, void *context)
{
    (void)info;
    (void)context;
    must(number == SIGSEGV);
    if (++calls == 3)
        siglongjmp(back, 1);
    *nowhere = 1;
    must(!"a fault");
}

static void a_fault_within_the_handler(void)
{
    set_flags(SIGSEGV, fault_within, 0);
    *nowhere = 1;
}

static void nodefer_lets_it_fault_within(void)
{
    set_flags(SIGSEGV, fault_within, SA_NODEFER);
    if (sigsetjmp(back, 1) == 0)
        *nowhere = 1;
    must(calls == 3);
}

static void a_fault_within_the_old_kind(void)
{
    sysv_signal(SIGSEGV, (__sighandler_t)(void *)fault_within);
    *nowhere = 1;
}

static void note_mask(int number)
{
    sigset_t mask;
    sigprocmask(SIG_SETMASK, NULL, &mask);
    calls = sigismember(&mask, number) * 4 + sigismember(&mask, SIGUSR1) * 2 + sigismember(&mask, SIGUSR2);
}

static void what_is_held_while_it_runs(void)
{
    struct sigaction action = {.sa_handler = note_mask};
    sigset_t mask;
    sigaddset(&action.sa_mask, SIGUSR1);
    must(sigaction(SIGSEGV, &action, NULL) == 0);
    raise(SIGSEGV);
    must(calls == 4 + 2);
    action.sa_flags = SA_NODEFER;
    must(sigaction(SIGSEGV, &action, NULL) == 0);
    raise(SIGSEGV);
    must(calls == 2);
    sigemptyset(&mask);
    sigaddset(&mask, SIGUSR2);
    sigprocmask(SIG_BLOCK, &mask, NULL);
    raise(SIGSEGV);
    must(calls == 2 + 1);
    signal(SIGSEGV, note_mask);
    raise(SIGSEGV);
    must(calls == 4 + 1);
    sigprocmask(SIG_SETMASK, NULL, &mask);
    must(!sigismember(&mask, SIGSEGV) && !sigismember(&mask, SIGUSR1));
}

/* --- alternate stacks ----------------------------------------------------------------------------------------- */

static char *other_stack;
static size_t other_stack_size;

static void use_other_stack(void)
{
    other_stack_size = (size_t)SIGSTKSZ;
    other_stack = malloc(other_stack_size);
    must(sigaltstack(&(stack_t){.ss_sp = other_stack, .ss_size = other_stack_size}, NULL) == 0);
}

static void note_stack(int number, siginfo_t *info, void *context)
{
    const char *here = __builtin_frame_address(0);
    calls = here >= other_stack && here < other_stack + other_stack_size ? 2 : 1;
    last = *info;
    must(number == info->si_signo && context != NULL);
}

static void a_handler_gets_the_stack_it_wants(void)
{
    use_other_stack();
    set_flags(SIGSEGV, note_stack, 0);
    raise(SIGSEGV);
    must(calls == 1);
    set_flags(SIGSEGV, note_stack, SA_ONSTACK);
    raise(SIGSEGV);
    must(calls == 2);
}

static void an_overflown_stack_is_handled_on_another(void)
{
    use_other_stack();
    set_flags(SIGSEGV, jump_back, SA_ONSTACK);
    for (int i = 0; i < 3; i++)
        if (sigsetjmp(back, 1) == 0)
            overflow(0);
    must(calls == 3);
}

/* --- SIGBUS --------------------------------------------------------------------------------------------------- */

static char *map_of_nothing(void)
{
    int fd = (int)syscall(SYS_memfd_create, "nothing", 0);
    char *at = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    must(at != MAP_FAILED);
    return at;
}

static void a_file_that_is_too_short(void)
{
    char *at = map_of_nothing();
    set_flags(SIGBUS, jump_back, 0);
    for (int i = 0; i < 10; i++) {
        must_fault(at + 7, SIGBUS);
        must(last.si_code == BUS_ADRERR && last.si_addr == at + 7);
    }
}

static void a_file_that_is_too_short_with_no_handler(void)
{
    *(volatile char *)map_of_nothing() = 1;
}

/* --- threads -------------------------------------------------------------------------------------------------- */

static __thread sigjmp_buf thread_back;
static __thread volatile int thread_calls;

static void jump_back_in_thread(int number)
{
    (void)number;
    thread_calls++;
    siglongjmp(thread_back, 1);
}

static void *fault_again_and_again(void *argument)
{
    for (volatile int i = 0; i < 20 * ROUNDS; i++)
        if (sigsetjmp(thread_back, 1) == 0)
            *nowhere = 1;
    must(thread_calls == 20 * ROUNDS);
    return argument;
}

static void threads_fault_at_the_same_time(void)
{
    pthread_t threads[3];
    signal(SIGSEGV, jump_back_in_thread);
    for (int i = 0; i < 3; i++)
        must(pthread_create(&threads[i], NULL, fault_again_and_again, NULL) == 0);
    for (int i = 0; i < ROUNDS; i++) {
        struct sigaction action = {.sa_handler = jump_back_in_thread, .sa_flags = i % 2 == 0 ? SA_NODEFER : SA_RESTART};
        must(sigaction(SIGSEGV, &action, NULL) == 0);
    }
    for (int i = 0; i < 3; i++)
        must(pthread_join(threads[i], NULL) == 0);
}

static void a_child_handles_its_own_faults(void)
{
    int status;
    set_flags(SIGSEGV, jump_back, 0);
    must_fault(nowhere, SIGSEGV);
    pid_t pid = fork();
    if (pid == 0) {
        must_fault(nowhere, SIGSEGV);
        set_flags(SIGSEGV, jump_back, (int)SA_RESETHAND);
        must_fault(nowhere, SIGSEGV);
        *nowhere = 1;
    }
    must(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
    must_fault(nowhere, SIGSEGV);
    must_fault(nowhere, SIGSEGV);
}

int main(void)
{
    static const struct one_case cases[] = {
        CASE_DIES(a_crash, SIGSEGV),
        CASE_DIES(a_crash_of_a_thread, SIGSEGV),
        CASE_DIES(an_address_that_is_none, SIGSEGV),
        CASE_DIES(a_jump_into_nowhere, SIGSEGV),
        CASE_DIES(a_stack_overflow, SIGSEGV),
        CASE_DIES(kill_of_oneself, SIGSEGV),
        CASE_DIES(raise_of_bus, SIGBUS),
        CASE_DIES(raise_of_a_thread, SIGSEGV),
        CASE_DIES(a_fault_that_is_ignored, SIGSEGV),
        CASE_DIES(a_flag_without_a_handler, SIGSEGV),
        CASE(a_handler_is_told_what_and_where),
        CASE(what_was_sent_says_by_whom),
        CASE(a_thread_gets_its_own),
        CASE(errno_is_the_handlers),
        CASE(a_handler_may_send_it_elsewhere),
        CASE(a_program_may_protect_its_own_blocks),
        CASE_DIES(what_is_set_for_once_is_set_for_once, SIGSEGV),
        CASE_DIES(a_fault_within_the_handler, SIGSEGV),
        CASE(nodefer_lets_it_fault_within),
        CASE_DIES(a_fault_within_the_old_kind, SIGSEGV),
        CASE(what_is_held_while_it_runs),
        CASE(a_handler_gets_the_stack_it_wants),
        CASE(an_overflown_stack_is_handled_on_another),
        CASE(a_file_that_is_too_short),
        CASE_DIES(a_file_that_is_too_short_with_no_handler, SIGBUS),
        CASE(threads_fault_at_the_same_time),
        CASE(a_child_handles_its_own_faults),
    };
    free(malloc(100));
    return cases_run(cases, sizeof(cases) / sizeof(cases[0]));
}
