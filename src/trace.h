/*
 * Traces: how much of a call's stack is remembered for a block.
 *
 * A whole stack costs some tens of nanoseconds, a calling site next to nothing.  So of each site the first calls are
 * remembered with their stacks, for bugs sit at sites; then one in TRACE_ONE_IN, and of the others the site alone.
 * Sites are told apart by return address in a table of constant size; two that fall together share their turn.
 */
#ifndef TP_TRACE_H
#define TP_TRACE_H

#include "stack.h"

enum tp_trace_level {
    TP_TRACE_NONE,
    TP_TRACE_SITE,    /* the return address */
    TP_TRACE_SAMPLED, /* up to 8 frames, as above */
    TP_TRACE_DEEP,    /* of every call up to 24 frames */
    TP_TRACE_FULL,    /* of every call all frames there is room for */
};

/* The number of a stack (stack.h) that begins with the call; 0: none. */
uint32_t tp_trace_take(const struct tp_call *call, enum tp_trace_level level);

#endif
