/*
 * The functions that set what SIGSEGV and SIGBUS do: what they return and what they leave behind, whoever handles these
 * signals first.  Status 0 if all is as the C library has it.
 */
#include "cases.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>

extern char **environ;
extern __sighandler_t bsd_signal(int number, __sighandler_t handler);
extern __sighandler_t ssignal(int number, __sighandler_t handler);

/* The system adds a flag of the C library's. */
#define FLAGS_OF_LIBRARY 0x04000000

static const int both[] = {SIGSEGV, SIGBUS};
#define EACH_SIGNAL(n) for (const int *n = both; n < both + 2; n++)

static volatile sig_atomic_t calls;
static const char *own_path;

static void count(int number)
{
    (void)number;
    calls++;
}

static void count_more(int number)
{
    calls += number;
}

static struct sigaction action_of(int number)
{
    struct sigaction action;
    must(sigaction(number, NULL, &action) == 0);
    action.sa_flags &= ~FLAGS_OF_LIBRARY;
    return action;
}

static void must_be(int number, __sighandler_t handler, int flags)
{
    struct sigaction action = action_of(number);
    must(action.sa_handler == handler);
    must(action.sa_flags == flags);
}

static void set(int number, __sighandler_t handler, int flags)
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = flags};
    must(sigaction(number, &action, NULL) == 0);
}

/* --- before anything else ------------------------------------------------------------------------------------- */

static void early(int number)
{
    (void)number;
    calls++;
}

/* What is started to tell what it finds (tell) has more arguments. */
static void set_early(int argc)
{
    struct sigaction action = {.sa_handler = early};
    if (argc == 1)
        sigaction(SIGSEGV, &action, NULL);
}

/* Before the constructors of all libraries. */
static __attribute__((section(".preinit_array"), used)) void (*const preinit)(int) = set_early;

static void what_was_set_early_holds(void)
{
    must_be(SIGSEGV, early, 0);
    must_be(SIGBUS, SIG_DFL, 0);
    raise(SIGSEGV);
    must(calls == 1);
}

/* --- sigaction ------------------------------------------------------------------------------------------------ */

static void old_actions_are_as_they_were_set(void)
{
    EACH_SIGNAL(n)
    {
        struct sigaction first = {.sa_handler = count, .sa_flags = SA_NODEFER | SA_RESTART}, old;
        struct sigaction second = {.sa_handler = count_more, .sa_flags = (int)SA_RESETHAND};
        sigaddset(&first.sa_mask, SIGUSR1);
        must(sigaction(*n, &first, NULL) == 0);
        must(sigaction(*n, &second, &old) == 0);
        must(old.sa_handler == count && (old.sa_flags & ~FLAGS_OF_LIBRARY) == first.sa_flags);
        must(sigismember(&old.sa_mask, SIGUSR1) && !sigismember(&old.sa_mask, SIGUSR2));
        must_be(*n, count_more, (int)SA_RESETHAND);
        must(sigaction(*n, &old, &second) == 0 && second.sa_handler == count_more);
        must_be(*n, count, SA_NODEFER | SA_RESTART);
        must(sigaction(*n, NULL, NULL) == 0);
    }
}

static void the_same_room_may_be_old_and_new(void)
{
    struct sigaction action = {.sa_handler = count};
    set(SIGSEGV, count_more, 0);
    struct sigaction *volatile old = &action;
    must(sigaction(SIGSEGV, &action, old) == 0);
    must(action.sa_handler == count_more);
    must_be(SIGSEGV, count, 0);
}

static void what_is_no_signal_is_refused(void)
{
    struct sigaction action = {.sa_handler = count};
    must(sigaction(0, &action, NULL) == -1 && errno == EINVAL);
    must(sigaction(65, &action, NULL) == -1);
    must(sigaction(-1, &action, NULL) == -1);
    must(sigaction(SIGKILL, &action, NULL) == -1 && errno == EINVAL);
    must(signal(SIGSTOP, count) == SIG_ERR);
    errno = 0;
    must(signal(SIGSEGV, SIG_ERR) == SIG_ERR && errno == EINVAL);
}

static void other_signals_are_left_alone(void)
{
    for (int n = 1; n < 32; n++) {
        if (n == SIGKILL || n == SIGSTOP)
            continue;
        set(n, SIG_IGN, 0);
        must_be(n, SIG_IGN, 0);
    }
    for (int n = 1; n < 32; n++)
        if (n != SIGKILL && n != SIGSTOP)
            raise(n);
    must(signal(SIGUSR1, count) == SIG_IGN);
    raise(SIGUSR1);
    must(calls == 1);
}

/* --- the older ones ------------------------------------------------------------------------------------------- */

static void signal_returns_what_was_there(void)
{
    EACH_SIGNAL(n)
    {
        set(*n, SIG_DFL, 0);
        must(signal(*n, count) == SIG_DFL);
        must_be(*n, count, SA_RESTART);
        must(sigismember(
                 &(struct sigaction[]) { action_of(*n) } -> sa_mask, *n) == 1);
        must(bsd_signal(*n, SIG_IGN) == count);
        must(ssignal(*n, count_more) == SIG_IGN);
        must_be(*n, count_more, SA_RESTART);
    }
    raise(SIGBUS);
    must(calls == SIGBUS);
    raise(SIGBUS);
    must(calls == 2 * SIGBUS);
}

static void sysv_signal_is_for_once(void)
{
    must(sysv_signal(SIGSEGV, count) == early);
    must_be(SIGSEGV, count, (int)(SA_RESETHAND | SA_NODEFER));
    raise(SIGSEGV);
    must(calls == 1);
    must_be(SIGSEGV, SIG_DFL, (int)(SA_RESETHAND | SA_NODEFER));
    must(__sysv_signal(SIGSEGV, SIG_IGN) == SIG_DFL);
    raise(SIGSEGV);
}

static void siginterrupt_lasts(void)
{
    signal(SIGSEGV, count);
    must(siginterrupt(SIGSEGV, 1) == 0);
    must_be(SIGSEGV, count, 0);
    signal(SIGSEGV, count_more);
    must_be(SIGSEGV, count_more, 0);
    must(siginterrupt(SIGSEGV, 0) == 0);
    must_be(SIGSEGV, count_more, SA_RESTART);
    signal(SIGBUS, count);
    must_be(SIGBUS, count, SA_RESTART);
}

static void sigset_holds_and_lets_go(void)
{
    must(sigset(SIGBUS, count) == SIG_DFL);
    must_be(SIGBUS, count, 0);
    must(sigset(SIGBUS, SIG_HOLD) == count);
    raise(SIGBUS);
    must(calls == 0);
    must(sigset(SIGBUS, SIG_HOLD) == SIG_HOLD);
    must(sigset(SIGBUS, count_more) == SIG_HOLD);
    must(calls == SIGBUS);
    must(sigset(SIGBUS, SIG_IGN) == count_more);
}

static void sigignore_ignores(void)
{
    set(SIGBUS, count, SA_RESTART);
    must(sigignore(SIGBUS) == 0);
    must_be(SIGBUS, SIG_IGN, 0);
    raise(SIGBUS);
    must(calls == 0);
}

/* --- waiting -------------------------------------------------------------------------------------------------- */

/* What comes of a read while the signal is sent to this process, and a byte after it. */
static ssize_t read_while_sent(int number)
{
    int ends[2];
    char byte;
    must(pipe(ends) == 0);
    pid_t reader = getpid();
    pid_t pid = fork();
    if (pid == 0) {
        usleep(50000);
        kill(reader, number);
        usleep(50000);
        _exit(write(ends[1], "x", 1) != 1);
    }
    ssize_t n = read(ends[0], &byte, 1);
    int saved = errno;
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
    errno = saved;
    return n;
}

static void waiting_ends_or_goes_on(void)
{
    set(SIGSEGV, count, SA_RESTART);
    must(read_while_sent(SIGSEGV) == 1 && calls == 1);
    set(SIGSEGV, count, 0);
    must(read_while_sent(SIGSEGV) == -1 && errno == EINTR && calls == 2);
    set(SIGSEGV, SIG_IGN, 0);
    must(read_while_sent(SIGSEGV) == 1 && calls == 2);
}

/* --- children ------------------------------------------------------------------------------------------------- */

static void must_end(pid_t pid, int wanted)
{
    int status = -1;
    must(waitpid(pid, &status, 0) == pid);
    must(status == wanted);
}

static void a_child_has_actions_of_its_own(void)
{
    set(SIGSEGV, count, SA_NODEFER);
    pid_t pid = fork();
    if (pid == 0) {
        must_be(SIGSEGV, count, SA_NODEFER);
        raise(SIGSEGV);
        must(calls == 1);
        set(SIGSEGV, SIG_DFL, 0);
        must_be(SIGSEGV, SIG_DFL, 0);
        raise(SIGSEGV);
        _exit(0);
    }
    must_end(pid, SIGSEGV);
    must_be(SIGSEGV, count, SA_NODEFER);
    raise(SIGSEGV);
    must(calls == 1);
}

static void so_has_a_child_of_vfork(void)
{
    static struct sigaction standard = {.sa_handler = SIG_DFL};
    static struct sigaction old;
    set(SIGSEGV, count, SA_NODEFER);
    set(SIGBUS, count_more, 0);
    pid_t pid = vfork();
    if (pid == 0) {
        sigaction(SIGSEGV, &standard, &old);
        signal(SIGBUS, SIG_IGN);
        raise(SIGBUS);
        raise(SIGSEGV);
        _exit(0);
    }
    must_end(pid, SIGSEGV);
    must(old.sa_handler == count && (old.sa_flags & ~FLAGS_OF_LIBRARY) == SA_NODEFER);
    must_be(SIGSEGV, count, SA_NODEFER);
    must_be(SIGBUS, count_more, 0);
    raise(SIGSEGV);
    must(calls == 1);
}

/* --- programs that are started -------------------------------------------------------------------------------- */

/* In the program that is started: what it finds, a digit each. */
static int tell(void)
{
    int told = 0;
    EACH_SIGNAL(n)
    {
        struct sigaction action = action_of(*n);
        told = told * 10 + (action.sa_handler == SIG_DFL ? 1 : action.sa_handler == SIG_IGN ? 2 : 3);
    }
    return told;
}

static char *arguments[3];

static void start_by_execl(void)
{
    execl(own_path, own_path, "tell", NULL);
}

static void start_by_execlp(void)
{
    execlp(own_path, own_path, "tell", NULL);
}

static void start_by_execle(void)
{
    execle(own_path, own_path, "tell", NULL, environ);
}

static void start_by_execve(void)
{
    execve(own_path, arguments, environ);
}

static void start_by_execv(void)
{
    execv(own_path, arguments);
}

static void start_by_execvp(void)
{
    execvp(own_path, arguments);
}

static void start_by_execvpe(void)
{
    execvpe(own_path, arguments, environ);
}

static void start_by_fexecve(void)
{
    fexecve(open(own_path, O_RDONLY), arguments, environ);
}

static void start_by_execveat(void)
{
    execveat(AT_FDCWD, own_path, arguments, environ, 0);
}

static void must_tell(void (*start)(void), int wanted)
{
    pid_t pid = fork();
    if (pid == 0)
        start();
    must_end(pid, wanted << 8);
    pid = vfork();
    if (pid == 0) {
        start();
        _exit(99);
    }
    must_end(pid, wanted << 8);
}

static void each_start_must_tell(int wanted)
{
    must_tell(start_by_execl, wanted);
    must_tell(start_by_execlp, wanted);
    must_tell(start_by_execle, wanted);
    must_tell(start_by_execve, wanted);
    must_tell(start_by_execv, wanted);
    must_tell(start_by_execvp, wanted);
    must_tell(start_by_execvpe, wanted);
    must_tell(start_by_fexecve, wanted);
    must_tell(start_by_execveat, wanted);
}

static void handlers_are_not_for_what_is_started(void)
{
    set(SIGSEGV, count, 0);
    set(SIGBUS, SIG_DFL, 0);
    each_start_must_tell(11);
}

static void what_is_ignored_is_so_there_too(void)
{
    set(SIGSEGV, SIG_IGN, 0);
    set(SIGBUS, count, 0);
    each_start_must_tell(21);
    set(SIGSEGV, SIG_DFL, 0);
    set(SIGBUS, SIG_IGN, 0);
    each_start_must_tell(12);
    must_be(SIGSEGV, SIG_DFL, 0);
    must_be(SIGBUS, SIG_IGN, 0);
}

static void a_start_that_fails_changes_nothing(void)
{
    set(SIGSEGV, SIG_IGN, 0);
    must(execl("/", "/", NULL) == -1 && errno == EACCES);
    must_be(SIGSEGV, SIG_IGN, 0);
    raise(SIGSEGV);
    must(signal(SIGSEGV, count) == SIG_IGN);
    raise(SIGSEGV);
    must(calls == 1);
}

static void spawn(const posix_spawnattr_t *attributes, int wanted)
{
    pid_t pid;
    must(posix_spawn(&pid, own_path, NULL, attributes, arguments, environ) == 0);
    must_end(pid, wanted << 8);
}

static void posix_spawn_sets_back(void)
{
    posix_spawnattr_t attributes;
    sigset_t signals;
    sigfillset(&signals);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setsigdefault(&attributes, &signals);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
    set(SIGSEGV, count, 0);
    set(SIGBUS, SIG_IGN, 0);
    spawn(&attributes, 11);
    spawn(NULL, 12);
    must(posix_spawnp(&(pid_t){0}, "/", NULL, NULL, arguments, environ) != 0);
    must_be(SIGSEGV, count, 0);
    must_be(SIGBUS, SIG_IGN, 0);
    raise(SIGSEGV);
    raise(SIGBUS);
    must(calls == 1);
}

/* --- at the same time ----------------------------------------------------------------------------------------- */

static volatile int is_over;

static void *set_again_and_again(void *argument)
{
    struct sigaction action = {.sa_handler = count}, old;
    for (int i = 0; i < 20000; i++) {
        action.sa_handler = i % 2 == 0 ? count : count_more;
        action.sa_flags = i % 2 == 0 ? SA_NODEFER : SA_RESTART;
        if (sigaction(SIGSEGV, &action, &old) != 0 ||
            (old.sa_handler == count) != ((old.sa_flags & ~FLAGS_OF_LIBRARY) == SA_NODEFER))
            return argument;
    }
    is_over = 1;
    return NULL;
}

static void set_in_handler(int number)
{
    struct sigaction action;
    (void)number;
    sigaction(SIGSEGV, NULL, &action);
    sigaction(SIGSEGV, &action, NULL);
    calls++;
}

/* An action is whole whenever it is read, and a handler that sets one waits for nobody. */
static void threads_set_while_others_are_signalled(void)
{
    pthread_t threads[2];
    void *wrong[2];
    set(SIGSEGV, count, SA_NODEFER);
    must(pthread_create(&threads[0], NULL, set_again_and_again, (void *)&calls) == 0);
    while (!is_over)
        raise(SIGSEGV);
    must(pthread_join(threads[0], &wrong[0]) == 0 && wrong[0] == NULL);
    set(SIGUSR1, set_in_handler, SA_RESTART);
    is_over = 0;
    must(pthread_create(&threads[0], NULL, set_again_and_again, NULL) == 0);
    while (!is_over)
        pthread_kill(threads[0], SIGUSR1);
    must(pthread_join(threads[0], NULL) == 0);
}

int main(int argc, char **argv)
{
    static const struct one_case cases[] = {
        CASE(what_was_set_early_holds),
        CASE(old_actions_are_as_they_were_set),
        CASE(the_same_room_may_be_old_and_new),
        CASE(what_is_no_signal_is_refused),
        CASE(other_signals_are_left_alone),
        CASE(signal_returns_what_was_there),
        CASE(sysv_signal_is_for_once),
        CASE(siginterrupt_lasts),
        CASE(sigset_holds_and_lets_go),
        CASE(sigignore_ignores),
        CASE(waiting_ends_or_goes_on),
        CASE(a_child_has_actions_of_its_own),
        CASE(so_has_a_child_of_vfork),
        CASE(handlers_are_not_for_what_is_started),
        CASE(what_is_ignored_is_so_there_too),
        CASE(a_start_that_fails_changes_nothing),
        CASE(posix_spawn_sets_back),
        CASE(threads_set_while_others_are_signalled),
    };
    own_path = arguments[0] = argv[0];
    arguments[1] = "tell";
    if (argc > 1)
        return tell();
    free(malloc(100));
    return cases_run(cases, sizeof(cases) / sizeof(cases[0]));
}
