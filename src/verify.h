/*
 * The verifier: which requests get which treatment.
 *
 *   settings   words of TAGPOOL_VERIFY, or rules in the control page   ->  rules, at most TAGPOOL_SEGMENT_RULES
 *   a slot     which rules its tag and name match                      ->  tp_tag_rules[slot], a bit each
 *   a request  the slot's rules, its size, its site                    ->  struct tp_verify_plan
 *
 * A slot that no rule matches costs nothing: its pages are its heaps', and fast paths are as ever.  One that a rule
 * matches is in no thread's table, so each of its allocations is slow and comes by here.
 */
#ifndef TP_VERIFY_H
#define TP_VERIFY_H

#include "checked.h"

enum tp_treatment { TP_TREAT_PLAIN, TP_TREAT_WATCH, TP_TREAT_SPECIAL };

/* What is done with one request.  Fits a register. */
struct tp_verify_plan {
    uint8_t treatment; /* enum tp_treatment */
    uint8_t trace;     /* enum tp_trace_level */
    bool is_counted;   /* the slot is concerned */
    bool fail;         /* it is made to fail */
    bool under;        /* as in struct tp_checked_request, as the next */
    bool exact;
    bool is_settled : 1; /* tp_verify_settled */
    bool is_auto : 1;    /* some go to special pool, by the budget */
    bool is_sampled : 1; /* one in so many does */
    uint8_t reserved;
};

_Static_assert(sizeof(struct tp_verify_plan) == 8, "fits a register");

/* Read TAGPOOL_VERIFY, or without it what is kept for this program.  Before the first tag is made. */
void tp_verify_init(void);

/* A request for a slot that is concerned. */
struct tp_verify_plan tp_verify_plan(uint32_t slot, size_t size, const struct tp_call *call);

/*
 * By slot: the plan that all requests have in common, as far as watched and tracked blocks go, if it is_settled; else
 * each has one of its own.  Where it is_auto, the budget is to be asked for each; where it is_sampled, a request that
 * has its turn has another plan.
 */
extern TP_HIDDEN struct tp_verify_plan tp_verify_settled[TP_SLOT_COUNT];

/* The program ends by itself: what is still out is looked at.  `stack` is as in inquest.h. */
void tp_verify_end(uintptr_t stack);

#endif
