/*
 * A session: trials of a program, some at a time, until no call stack is left that has not failed once.
 */
#ifndef SESSION_H
#define SESSION_H

#include "claims.h"
#include "ledger.h"
#include "scratch.h"
#include "systematic.h"
#include "trial.h"

/* How the program ends when nothing fails. */
struct session_reference {
    int status;
    uint64_t output_sum;
    uint64_t lost_blocks;
    uint64_t took_ns;
    bool is_steady; /* it writes the same in each run */
};

struct session {
    const struct systematic *options;
    struct trial_program program;
    struct scratch scratch;
    const char *words;
    struct ledger *ledger;
    struct claims claims;
    struct session_reference reference;
    uint64_t limit_ns; /* of a trial; 0: none */
    struct trial *trials;
    unsigned trial_count;
    unsigned next_run;                /* where the next place among the claims is looked for */
    unsigned long number;             /* of the next trial */
    unsigned long started;            /* trials in which something may fail */
    unsigned long unsteady;           /* trials without a fault that ended otherwise than the reference */
    bool is_done;                     /* a trial found no stack that is new */
    bool is_full;                     /* there is no room for more stacks */
    int ended_by;                     /* signal that told us to end; 0: none */
    int error;                        /* a trial could not be started, or the ledger not written: -errno */
    int signals;                      /* signalfd */
    bool has_progress;                /* a line that changes, on a terminal */
    uint64_t progress_at_ns;          /* when it was shown */
    unsigned long verdicts[VERDICTS]; /* of this session */
};

/*
 * Make what the trials share: 0 with the session ready, or a status after a sentence.  `words` are what all trials have
 * in TAGPOOL_VERIFY; the ledger's stacks are done already.
 */
int session_open(struct session *session, const struct systematic *options, const char *words, struct ledger *ledger,
                 const char *path, char **argv);
void session_close(struct session *session);

/* Find out how the program ends by itself: 0, or a status after a sentence. */
int session_find_reference(struct session *session);

/* All trials, to the end or until something ends them. */
void session_run(struct session *session);

#endif
