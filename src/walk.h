/*
 * Walks: from frame to frame to the outermost one, by rules that are kept.
 *
 * Rules are slow to find and few: one table of constant size keeps them for all threads, 4 ways a set.
 *
 *     pc x odd number, mod 2^48  =  | set: 12 | rest: 36 |        word of the set  =  | rest: 36 | rule: 28 |
 *
 * W1  An entry is one word that says for which pc it is (the product can be undone) and what the rule is: no reader
 *     sees half of one, threads that write at a time lose entries, and none is ever taken for another.
 * W2  Nothing is read but in the extent: a rule may be of a library that is gone, a frame may be overwritten.
 *
 * A function without a rule (generated code, hand-written code without tables) is left by its frame pointer, if that
 * leads to a call from a function with a rule; else the walk ends there.
 *
 * Takes no lock and allocates nothing, but for the table: one mapping, made at the first walk.  Safe in signal handlers
 * and on any stack.  What interrupts a walk may walk.
 */
#ifndef TP_WALK_H
#define TP_WALK_H

#include "frame.h"

struct tp_walk {
    struct tp_frame frame; /* where the walk is */
    struct tp_extent extent;
    const struct tp_call *call; /* our entry function's, whose frame pointer may be asked for; NULL: none */
};

/*
 * From walk->frame outwards; at most so many of their return addresses, of which the first is walk->frame's.  What a
 * signal interrupted is shown as if it had called: one more than where it was.
 */
unsigned tp_walk_run(struct tp_walk *walk, uintptr_t *frames, unsigned most);

/* As tp_frame_rule_at, from the table. */
struct tp_frame_rule tp_walk_rule_at(uintptr_t pc);

/* A library was unloaded: what stands in its place may be another one's. */
void tp_walk_forget_rules(void);

#endif
