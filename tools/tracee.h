/*
 * Tracee: a process that stands still while it is read.
 *
 * Its threads are stopped one by one by ptrace, without a signal: system calls that can be are begun again when they go
 * on, some others (epoll_wait, semtimedop, io_getevents) return EINTR, as after Ctrl-Z and fg.
 */
#ifndef TRACEE_H
#define TRACEE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

struct tracee_thread {
    pid_t id;
    int signal;    /* that it is to get when it goes on; 0: none */
    int is_exempt; /* it ended meanwhile */
};

struct tracee {
    pid_t pid;
    struct tracee_thread *threads;
    size_t count;
    uintptr_t *words; /* registers of all threads */
    size_t word_count;
    uintptr_t *stacks; /* their stack pointers */
    size_t stack_count;
    struct timespec since;
};

/*
 * Stop all threads and read their registers: 0, or -errno, and then all go on; -EPERM: see tracee_explain; -ETIMEDOUT:
 * a thread does not stop, as it waits for a device; -ESRCH.
 */
int tracee_stop(struct tracee *tracee, pid_t pid);

/* They go on.  The milliseconds that they stood still.  Frees what is held. */
double tracee_resume(struct tracee *tracee);

/* Say on stderr why a process cannot be stopped. */
void tracee_explain(pid_t pid, int error);

#endif
