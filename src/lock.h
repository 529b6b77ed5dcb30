/*
 * A small mutex: one word, a futex behind it, and a rank that says in which order locks may be taken.
 *
 * L1  A thread that holds a lock takes only locks of a higher rank.
 * L2  No lock is held while memory of the program is touched or a callback runs.
 *
 * Why not pthread_mutex: a child of a raw clone must be able to reset every lock, and the thread that forks must be
 * able to pass through the locks that it holds itself (other libraries allocate in their own fork handlers).
 */
#ifndef TP_LOCK_H
#define TP_LOCK_H

#include "base.h"

enum tp_lock_rank {
    TP_LOCK_START,     /* the first call */
    TP_LOCK_LOOKASIDE, /* lookaside lists: which there are, and what they keep for all threads */
    TP_LOCK_IOVA,      /* I/O virtual addresses that are taken */
    TP_LOCK_THREADS,   /* thread records */
    TP_LOCK_LIMITS,    /* limits, and what is allocated near one */
    TP_LOCK_ORPHANS,   /* pages whose thread ended, and calls of threads that are ending */
    TP_LOCK_VERIFY,    /* rules of the verifier that come into force */
    TP_LOCK_TAGS,      /* slots, modules, sites; folds into a slot */
    TP_LOCK_SPECIAL,   /* special pool: runs and quarantine */
    TP_LOCK_SPANS,     /* free runs of units, watermarks */
    TP_LOCK_GUARDS,    /* where guards are, and the descriptor that makes them */
    TP_LOCK_METADATA,  /* the engine's own small allocations */
    TP_LOCK_COUNT,
};

void tp_lock(enum tp_lock_rank rank);
void tp_unlock(enum tp_lock_rank rank);

/* Take all locks for fork; until tp_lock_release_all the calling thread passes through them. */
void tp_lock_acquire_all(void);
void tp_lock_release_all(void);

/* In a child with a single thread: every lock is free, whoever held it. */
void tp_lock_reset_all(void);

#endif
