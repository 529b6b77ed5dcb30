/*
 * Systematic low resources: each call stack that asks for memory is made to fail once, one in a run of the program.
 *
 * Y1  One request of a run fails, its children's included: who fails claims the run first (tagpool/claims.h).
 * Y2  A stack fails in one run alone, however many go on side by side, and its FAULT record is in the file before the
 *     program learns of it: so it is known even if the program dies of it.
 * Y3  A stack is named by the places of its calls in their libraries, the same in every run.  Of the innermost
 *     TP_STACK_FRAMES calls the first SYSTEMATIC_FRAMES different ones count, each where it is innermost: recursion
 *     makes no new stacks, however deep it goes and in whatever order functions call each other again.  Where it is
 *     deeper than what is looked at, nothing outside of it counts, for that would differ by its depth.
 */
#ifndef TP_SYSTEMATIC_H
#define TP_SYSTEMATIC_H

#include "site.h"

/* What the words say. */
struct tp_systematic_options {
    const char *path; /* "FILE:RUN", claims and the place among the runs; empty: none, each process for itself */
    bool has_only;
    uint64_t only; /* this stack fails and no other; 0: none does */
};

void tp_systematic_init(const struct tp_systematic_options *options);

/* Whether a request is to fail; told to `tagpool` when it is. */
bool tp_systematic_decide(uint32_t slot, size_t size, const struct tp_call *call);

/* The process ends by itself. */
void tp_systematic_end(void);

/* The name of a stack (Y3); never 0. */
uint64_t tp_systematic_hash(const uintptr_t *frames, unsigned count);

#endif
