/*
 * Trials: a program that is run beside others, watched until its end, and not seen or heard.
 *
 * T1  A trial is a process group of its own.  When its program has ended, or its time is over, the whole group is
 *     killed; nothing of it outlives us.
 * T2  What it writes is read away, so that it never waits for us; a sum of its stdout and the last of all are kept.
 */
#ifndef TRIAL_H
#define TRIAL_H

#include "chain.h"
#include "claims.h"

#include <signal.h>
#include <sys/types.h>

#define TRIAL_TAIL 1024 /* bytes of output that are kept, and up to as many more */

/* The same for all trials of a program. */
struct trial_program {
    const char *path;
    char **argv;
    const char *directory; /* for what a trial needs; gone when all are done */
    off_t input_offset;    /* where stdin, a file, is read from each time; -1: they read nothing */
    bool is_heard;         /* its output is ours */
    sigset_t mask;         /* signals that the program has blocked */
};

struct trial_output {
    int fd; /* -1: closed */
    uint64_t sum;
};

struct trial {
    pid_t pid; /* 0: none */
    uint64_t begin_ns, end_ns;
    bool is_late;        /* it was killed for its time was over */
    bool has_lost_child; /* the one whose request failed is gone, and has not ended by itself */
    int wait_status;
    const struct tagpool_claims_run *run;
    struct trial_output out, err;
    char tail[2 * TRIAL_TAIL];
    size_t tail_size;
    char *report_path;
    struct reportfile reports;

    /* What was reported. */
    struct tagpool_report_fault fault;
    struct chain fault_chain;
    char fault_program[64];
    struct tagpool_report_crash crash; /* the first one; signal 0: none */
    struct chain crash_chain;
    uint64_t stops, lost_blocks;
    uint32_t stop_code; /* of the first */
};

uint64_t trial_now_ns(void);

/* Start the program with the words in TAGPOOL_VERIFY, and a number that no other ever has: 0 or -errno. */
int trial_start(struct trial *trial, const struct trial_program *program, const char *words, unsigned long number,
                const struct tagpool_claims_run *run);

/* Read what it has written. */
void trial_listen(struct trial *trial);

/* Whether it has ended; it is killed when it has taken longer than `limit_ns` (0: it may). */
bool trial_has_ended(struct trial *trial, uint64_t limit_ns);

/* Kill what is left of it and take its reports in; then its pid is 0, and the rest stays until trial_free. */
void trial_finish(struct trial *trial);

void trial_free(struct trial *trial);

#endif
