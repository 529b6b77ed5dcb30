/*
 * Budget: which requests go to special pool where not all can (`special=auto`).
 *
 * Bugs sit at sites, so the first requests of each site go there always, and then ever fewer: one in as many as there
 * were, more or less of them as the time that special pool takes stays below its share of the program's.  Sites are
 * told apart by return address and size; where one has most of the requests, it may be a function that all the program
 * allocates by, so some of them are told apart by the next two return addresses as well.
 *
 * Watching is cheap, and a program that does little but allocate pays it all the time: there, of sites that had their
 * first thousands, one block in two is watched as long as watching takes more than its share.
 *
 * The table of sites is of constant size; two that fall together share their turn.
 */
#ifndef TP_BUDGET_H
#define TP_BUDGET_H

#include "stack.h"

#define TP_BUDGET_PERCENT 3u

/* The share of the program's CPU time that special pool may take, beyond the first requests of sites. */
void tp_budget_configure(uint32_t percent);

enum tp_budget_verdict { TP_BUDGET_WATCH, TP_BUDGET_SPECIAL, TP_BUDGET_LEAVE };

/* Count a request, and say what is to be done with it: watch it, put it into special pool, or leave it alone. */
enum tp_budget_verdict tp_budget_decide(const struct tp_call *call, size_t size);

/* Around what special pool does for one block: some are measured.  Begin returns what end is to be given. */
uint64_t tp_budget_begin(void);
void tp_budget_end(uint64_t began);

#endif
