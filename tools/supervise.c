#include "supervise.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/inotify.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SUPERVISE_LOOK_MS = 100 }; /* how often to look where there is no inotify */

#define SUPERVISE_COUNT(table) (sizeof(table) / sizeof((table)[0]))

static const int supervise_passed_on[] = {SIGTERM, SIGHUP, SIGUSR1, SIGUSR2};

/* A reader of our reports that goes away must not end us; SIGCHLD that is ignored would lose the status. */
static const int supervise_changed[] = {SIGINT, SIGQUIT, SIGPIPE, SIGCHLD};

/* As it was given to us, for the child. */
static sigset_t supervise_mask;
static struct sigaction supervise_actions[SUPERVISE_COUNT(supervise_changed)];

/* ---- signals ---- */

static void supervise_make_set(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGCHLD);
    for (size_t i = 0; i < SUPERVISE_COUNT(supervise_passed_on); i++)
        sigaddset(set, supervise_passed_on[i]);
}

void supervise_hold(void)
{
    sigset_t set;
    supervise_make_set(&set);
    /* A child that made itself the terminal's foreground leaves us in the background: we may write all the same. */
    sigaddset(&set, SIGTTOU);
    sigprocmask(SIG_BLOCK, &set, &supervise_mask);
    for (size_t i = 0; i < SUPERVISE_COUNT(supervise_changed); i++) {
        struct sigaction action = {.sa_handler = supervise_changed[i] == SIGCHLD ? SIG_DFL : SIG_IGN};
        sigaction(supervise_changed[i], &action, &supervise_actions[i]);
    }
}

static void supervise_restore(void)
{
    for (size_t i = 0; i < SUPERVISE_COUNT(supervise_changed); i++)
        sigaction(supervise_changed[i], &supervise_actions[i], NULL);
    sigprocmask(SIG_SETMASK, &supervise_mask, NULL);
}

static void supervise_pass_on(int signals, pid_t child)
{
    struct signalfd_siginfo info;
    while (read(signals, &info, sizeof(info)) == (ssize_t)sizeof(info))
        if (info.ssi_signo != SIGCHLD)
            kill(child, (int)info.ssi_signo);
}

/* ---- the child ---- */

static void supervise_be_child(const struct supervise *supervise, int tell)
{
    supervise_restore();
    execv(supervise->path, supervise->argv);
    int error = errno;
    ssize_t written = write(tell, &error, sizeof(error));
    _exit(written == (ssize_t)sizeof(error) ? 0 : 1);
}

/* The child's PID once it executes the program, or -errno. */
static pid_t supervise_start(const struct supervise *supervise)
{
    int pipe_ends[2], error = 0;
    if (pipe2(pipe_ends, O_CLOEXEC) != 0)
        return -errno;
    pid_t child = fork();
    if (child == 0)
        supervise_be_child(supervise, pipe_ends[1]);
    if (child < 0)
        error = errno;
    close(pipe_ends[1]);
    if (child > 0 && read(pipe_ends[0], &error, sizeof(error)) == (ssize_t)sizeof(error))
        waitpid(child, NULL, 0);
    close(pipe_ends[0]);
    return error != 0 ? -error : child;
}

/* ---- waiting ---- */

static int supervise_watch(const char *path)
{
    int watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (watch >= 0 && inotify_add_watch(watch, path, IN_MODIFY) < 0) {
        close(watch);
        watch = -1;
    }
    return watch;
}

static void supervise_drain(int watch)
{
    char events[4096];
    while (read(watch, events, sizeof(events)) > 0)
        ;
}

/* Until the child has ended. */
static int supervise_wait(const struct supervise *supervise, pid_t child, int signals, int watch)
{
    struct pollfd fds[] = {{.fd = signals, .events = POLLIN}, {.fd = watch, .events = POLLIN}};
    int status = 0;
    while (waitpid(child, &status, WNOHANG) == 0) {
        poll(fds, 2, signals >= 0 && watch >= 0 ? -1 : SUPERVISE_LOOK_MS);
        supervise_pass_on(signals, child);
        supervise_drain(watch);
        supervise->look(supervise->context);
    }
    return status;
}

int supervise_run(struct supervise *supervise, int *wait_status)
{
    sigset_t set;
    supervise_make_set(&set);
    int signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    int watch = supervise_watch(supervise->watched);
    pid_t child = supervise_start(supervise);
    supervise->pid = child > 0 ? child : 0;
    if (child > 0)
        *wait_status = supervise_wait(supervise, child, signals, watch);
    if (watch >= 0)
        close(watch);
    if (signals >= 0)
        close(signals);
    return child > 0 ? 0 : child;
}
