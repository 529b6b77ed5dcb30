/*
 * Stacks: chains of return addresses, each kept once and named by a number.
 *
 *     depot   | head | table: first record of each hash  | record | record | record | .....        |
 *                                                        ^ number x 16 from the depot's base       ^ tp_stack_limit
 *
 * S1  Records are only added, and whole before the table leads to them: readers take no lock and never wait.
 * S2  The same frames have one number.  Two threads that add them at a time agree on the first in the table; the
 *     other's record is not used.
 * S3  An insertion that never ends (a fork, a raw clone, a signal handler that does not return) costs its record, no
 *     more: there is no lock and no list that could be left in pieces.
 */
#ifndef TP_STACK_H
#define TP_STACK_H

#include "frame.h"

#define TP_STACK_FRAMES 64

/* Records begin at multiples of this, so that 32 bits name them. */
#define TP_STACK_ALIGNMENT 16u

struct tp_stack_record {
    uint64_t hash;
    uint32_t next; /* record of the same entry; 0: none.  Never changes once the table leads here */
    uint32_t count;
    uintptr_t frames[];
};

/* NULL before the first stack. */
extern TP_HIDDEN struct tp_stack_depot *tp_stack_depot;

/* Address space of the depot, at most; a change after the first stack was put comes too late. */
extern TP_HIDDEN size_t tp_stack_limit;

/*
 * Return addresses, innermost first, from an entry function's call on.  Takes no lock, allocates nothing, safe in
 * signal handlers, on any thread and stack.  A signal handler's chain goes on with what it interrupted, shown as one
 * more than where it was.  What is found may end early, and of a corrupt stack it may be wrong, but nothing is read
 * that cannot be.
 */
unsigned tp_stack_capture(const struct tp_call *call, uintptr_t *frames, unsigned most);

/* The same from an interrupted place's registers: frames[0] is exact, not a return address. */
unsigned tp_stack_capture_at(uintptr_t pc, uintptr_t sp, uintptr_t fp, uintptr_t *frames, unsigned most);

/*
 * The number of a stack, of which at most TP_STACK_FRAMES count.  The same frames give the same number.  0: there are
 * no frames, or there is no memory for them (counted).
 */
uint32_t tp_stack_put(const uintptr_t *frames, unsigned count);

/* The frames of a number that tp_stack_put gave; 0 for 0. */
unsigned tp_stack_get(uint32_t number, const uintptr_t **frames);

/*
 * Of return addresses as libraries' names and distances in them: the same in every run, wherever they are loaded.  All
 * code that is in no library counts as one place, and the program goes without its name.
 */
uint64_t tp_stack_hash(const uintptr_t *frames, unsigned count);

struct tp_stack_totals {
    uint64_t kept_total;
    uint64_t lost_total; /* no memory for them */
    size_t bytes;        /* of records, and room that is lost */
};
struct tp_stack_totals tp_stack_totals(void);

#endif
