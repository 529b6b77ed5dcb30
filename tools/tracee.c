#include "tracee.h"
#include "memory.h"
#include "procfs.h"
#include "report.h"

#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

/* How long a thread may take to stop. */
enum { TRACEE_WAIT_MS = 2000 };

#define TRACEE_YAMA "/proc/sys/kernel/yama/ptrace_scope"

#if defined(__x86_64__)
#define TRACEE_STACK_POINTER(registers) ((uintptr_t)(registers)->rsp)
#else
#define TRACEE_STACK_POINTER(registers) ((uintptr_t)(registers)->sp)
#endif

static double tracee_ms_since(const struct timespec *since)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - since->tv_sec) * 1e3 + (double)(now.tv_nsec - since->tv_nsec) / 1e6;
}

/* ---- threads ---- */

static int tracee_has(const struct tracee *tracee, pid_t thread)
{
    for (size_t i = 0; i < tracee->count; i++)
        if (tracee->threads[i].id == thread)
            return 1;
    return 0;
}

/* A thread that has ended and waits for the others, or for somebody who asks. */
static int tracee_is_over(pid_t pid, pid_t thread)
{
    char path[64], text[512];
    snprintf(path, sizeof(path), "/proc/%d/task/%d/stat", (int)pid, (int)thread);
    if (procfs_read_file(path, text, sizeof(text)) < 0)
        return 1;
    const char *state = strrchr(text, ')');
    return state == NULL || state[1] == '\0' || state[2] == 'Z' || state[2] == 'X';
}

/* 1: it is new, and is told to stop; 0: not new, or over; or -errno. */
static int tracee_seize(struct tracee *tracee, pid_t thread)
{
    if (tracee_has(tracee, thread))
        return 0;
    if (ptrace(PTRACE_SEIZE, thread, NULL, NULL) != 0) {
        int error = -errno;
        return error == -ESRCH || tracee_is_over(tracee->pid, thread) ? 0 : error;
    }
    tracee->threads = memory_grow(tracee->threads, tracee->count, sizeof(*tracee->threads));
    tracee->threads[tracee->count++] = (struct tracee_thread){.id = thread};
    ptrace(PTRACE_INTERRUPT, thread, NULL, NULL);
    return 1;
}

/* How many threads are new, or -errno. */
static int tracee_seize_all(struct tracee *tracee)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/task", (int)tracee->pid);
    DIR *directory = opendir(path);
    if (directory == NULL)
        return errno == ENOENT ? -ESRCH : -errno;
    int found = 0, status = 0;
    const struct dirent *entry;
    while (status >= 0 && (entry = readdir(directory)) != NULL) {
        pid_t thread = (pid_t)strtol(entry->d_name, NULL, 10);
        status = thread > 0 ? tracee_seize(tracee, thread) : 0;
        found += status > 0;
    }
    closedir(directory);
    return status < 0 ? status : found;
}

/* ---- stopping ---- */

/* A stop for a signal is as good: the thread gets it when it goes on. */
static void tracee_note_stop(struct tracee_thread *thread, int status)
{
    if (!WIFSTOPPED(status))
        thread->is_exempt = 1;
    else if (status >> 16 != PTRACE_EVENT_STOP)
        thread->signal = WSTOPSIG(status);
}

static int tracee_wait(struct tracee_thread *thread)
{
    struct timespec since, pause = {.tv_nsec = 20000};
    int status;
    clock_gettime(CLOCK_MONOTONIC, &since);
    for (;;) {
        pid_t got = waitpid(thread->id, &status, __WALL | WNOHANG);
        if (got == thread->id)
            tracee_note_stop(thread, status);
        if (got < 0)
            thread->is_exempt = 1;
        if (got != 0)
            return 0;
        if (tracee_ms_since(&since) > TRACEE_WAIT_MS)
            return -ETIMEDOUT;
        nanosleep(&pause, NULL);
    }
}

/* Until no thread is new: those that run make others. */
static int tracee_stop_all(struct tracee *tracee)
{
    size_t stopped = 0;
    int found;
    while ((found = tracee_seize_all(tracee)) > 0)
        for (; stopped < tracee->count; stopped++) {
            int error = tracee_wait(&tracee->threads[stopped]);
            if (error != 0)
                return error;
        }
    return found < 0 ? found : stopped > 0 ? 0 : -ESRCH;
}

/* ---- registers ---- */

#define TRACEE_WORDS (sizeof(struct user_regs_struct) / sizeof(uintptr_t))

static void tracee_read_registers(struct tracee *tracee, const struct tracee_thread *thread)
{
    struct user_regs_struct registers;
    struct iovec place = {&registers, sizeof(registers)};
    if (thread->is_exempt || ptrace(PTRACE_GETREGSET, thread->id, (void *)NT_PRSTATUS, &place) != 0)
        return;
    memcpy(&tracee->words[tracee->word_count], &registers, TRACEE_WORDS * sizeof(uintptr_t));
    tracee->word_count += TRACEE_WORDS;
    tracee->stacks[tracee->stack_count++] = TRACEE_STACK_POINTER(&registers);
}

/* ---- the interface ---- */

int tracee_stop(struct tracee *tracee, pid_t pid)
{
    *tracee = (struct tracee){.pid = pid};
    clock_gettime(CLOCK_MONOTONIC, &tracee->since);
    int error = tracee_stop_all(tracee);
    if (error != 0) {
        tracee_resume(tracee);
        return error;
    }
    tracee->words = memory_alloc(tracee->count, TRACEE_WORDS * sizeof(uintptr_t));
    tracee->stacks = memory_alloc(tracee->count, sizeof(uintptr_t));
    for (size_t i = 0; i < tracee->count; i++)
        tracee_read_registers(tracee, &tracee->threads[i]);
    return 0;
}

double tracee_resume(struct tracee *tracee)
{
    for (size_t i = 0; i < tracee->count; i++)
        ptrace(PTRACE_DETACH, tracee->threads[i].id, NULL, (void *)(intptr_t)tracee->threads[i].signal);
    double ms = tracee_ms_since(&tracee->since);
    free(tracee->threads);
    free(tracee->words);
    free(tracee->stacks);
    *tracee = (struct tracee){.pid = 0};
    return ms;
}

/* ---- why not ---- */

/* A number behind a key of /proc/PID/status, or of a file that holds nothing else; 0 where there is none. */
static long tracee_number(const char *path, const char *key)
{
    char text[4096];
    if (procfs_read_file(path, text, sizeof(text)) < 0)
        return 0;
    const char *at = key != NULL ? strstr(text, key) : text;
    return at != NULL ? strtol(at + (key != NULL ? strlen(key) : 0), NULL, 10) : 0;
}

static void tracee_explain_forbidden(pid_t pid)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
    long tracer = tracee_number(path, "\nTracerPid:"), scope = tracee_number(TRACEE_YAMA, NULL);
    if (tracer != 0)
        report("process %d is traced by process %ld already (a debugger, or strace): only one can.", (int)pid, tracer);
    else if (scope > 0 && scope < 3)
        report("the system does not let you stop process %d: %s is %ld. Run this as root, or set it to 0.", (int)pid,
               TRACEE_YAMA, scope);
    else if (scope >= 3)
        report("the system lets nobody stop process %d: %s is %ld until the next boot.", (int)pid, TRACEE_YAMA, scope);
    else
        report("the system does not let you stop process %d: it has more rights than you, or may not be dumped, or this"
               " container has no CAP_SYS_PTRACE. Run this as root, outside.",
               (int)pid);
}

void tracee_explain(pid_t pid, int error)
{
    if (error == -EPERM || error == -EACCES)
        tracee_explain_forbidden(pid);
    else if (error == -ESRCH)
        report("process %d has ended.", (int)pid);
    else if (error == -ETIMEDOUT)
        report("a thread of process %d does not stop: it waits for a device, or for a child of vfork.", (int)pid);
    else
        report("process %d cannot be stopped: %s.", (int)pid, strerror(-error));
}
