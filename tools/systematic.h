/*
 * Systematic low resources: a program is run again and again, and each call stack that asks for memory fails once.
 */
#ifndef SYSTEMATIC_H
#define SYSTEMATIC_H

#include "verify.h"

#include <stdint.h>

struct systematic {
    bool is_on;
    bool is_verbose;
    const char *option;     /* one that was given and needs --systematic, or NULL */
    const char *state;      /* or NULL: where it is kept for each command */
    const char *given;      /* options of the verifier, as they were given; or NULL */
    uint32_t replay;        /* the number of a stack; 0: all */
    unsigned jobs;          /* 0: as many as processors */
    unsigned timeout_s;     /* 0: by the time that the program takes */
    unsigned long max_runs; /* 0: any number */
};

/* Take one option in, whose word in the table is the function's name; context is a struct systematic. */
int systematic_set_systematic(struct systematic *systematic, const char *value);
int systematic_set_state(struct systematic *systematic, const char *value);
int systematic_set_replay(struct systematic *systematic, const char *value);
int systematic_set_jobs(struct systematic *systematic, const char *value);
int systematic_set_timeout(struct systematic *systematic, const char *value);
int systematic_set_max_runs(struct systematic *systematic, const char *value);
int systematic_set_verbose(struct systematic *systematic, const char *value);

/* All options are in, before verify_finish: 0, or a status after one sentence about what does not go together. */
int systematic_finish(struct systematic *systematic, struct verify *verify);

/* The environment but for the verifier's own variables is made already.  The status to end with. */
int systematic_run(const struct systematic *systematic, struct verify *verify, const char *path, char **argv);

#endif
