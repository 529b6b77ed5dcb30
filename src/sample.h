/*
 * Samples: which requests go to special pool where one in so many does (`special=sample:N`).
 *
 * Each thread counts down to the next one, so that a request whose turn it is not costs one subtraction.  How far it is
 * is drawn anew each time, evenly from nothing to twice the mean: no pattern of a program's keeps step with it.
 */
#ifndef TP_SAMPLE_H
#define TP_SAMPLE_H

#include "thread.h"

/* The next request may have its turn: ask tp_sample_is_turn. */
TP_INLINE bool tp_sample_is_near(const struct tp_gate *gate)
{
    return TP_UNLIKELY(gate->sample_skips == 0);
}

/* A request that was not near was served. */
TP_INLINE void tp_sample_pass(struct tp_gate *gate)
{
    gate->sample_skips--;
}

/* Count a request of which one in `one_in` has its turn, and say whether it has. */
bool tp_sample_is_turn(struct tp_gate *gate, uint32_t one_in);

#endif
