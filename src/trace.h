/*
 * Traces: how much of a call's stack is remembered for a block.
 *
 * A whole stack costs some tens of nanoseconds, a calling site next to nothing.  So of each site the first calls are
 * remembered with their stacks, for bugs sit at sites; then one in TP_TRACE_ONE_IN, and of the others the site alone.
 * Sites are told apart by return address in a table of constant size; two that fall together share their turn.
 */
#ifndef TP_TRACE_H
#define TP_TRACE_H

#include "stack.h"

enum tp_trace_level {
    TP_TRACE_NONE,
    TP_TRACE_SITE,    /* the return address */
    TP_TRACE_FEW,     /* up to 8 frames, of a site's first TP_TRACE_FIRST_FEW calls, and then samples */
    TP_TRACE_SAMPLED, /* the same of its first TP_TRACE_FIRST */
    TP_TRACE_DEEP,    /* of every call up to 24 frames */
    TP_TRACE_FULL,    /* of every call all frames there is room for */
};

/* Calls of a site whose stacks are all remembered, and of the later ones one in so many. */
#define TP_TRACE_FIRST 1000u
#define TP_TRACE_FIRST_FEW 128u
#define TP_TRACE_ONE_IN 1024u

/* A stack's number and a return address in one word, so that no thread sees one of them with another's. */
#define TP_TRACE_PC_BITS 38
#define TP_TRACE_PC_MASK ((UINT64_C(1) << TP_TRACE_PC_BITS) - 1)

#define TP_TRACE_SITES_LOG 14
struct tp_trace_site {
    uint64_t last;  /* number << TP_TRACE_PC_BITS | pc of the site that was here last: its return address alone */
    uint32_t count; /* calls of all sites that share the place */
    uint32_t reserved;
};
extern TP_HIDDEN struct tp_trace_site tp_trace_sites[1u << TP_TRACE_SITES_LOG];

TP_INLINE struct tp_trace_site *tp_trace_site_of(uintptr_t pc)
{
    return &tp_trace_sites[pc * UINT64_C(0x9e3779b97f4a7c15) >> (64 - TP_TRACE_SITES_LOG)];
}

/* The same of a call of which the stack is wanted, or whose site was not there last. */
uint32_t tp_trace_take_anew(const struct tp_call *call, enum tp_trace_level level);

/* Counts of two threads at a time may be lost: a turn comes later then. */
TP_INLINE bool tp_trace_is_turn(struct tp_trace_site *site, uint32_t first)
{
    uint32_t count = tp_peek(&site->count);
    tp_poke(&site->count, count + 1);
    return count < first || count % TP_TRACE_ONE_IN == 0;
}

/* The number of a stack (stack.h) that begins with the call; 0: none. */
TP_INLINE uint32_t tp_trace_take(const struct tp_call *call, enum tp_trace_level level)
{
    if (level < TP_TRACE_SITE || level > TP_TRACE_SAMPLED)
        return tp_trace_take_anew(call, level);
    struct tp_trace_site *site = tp_trace_site_of(call->pc);
    uint32_t first = level == TP_TRACE_FEW ? TP_TRACE_FIRST_FEW : TP_TRACE_FIRST;
    if (level != TP_TRACE_SITE && TP_UNLIKELY(tp_trace_is_turn(site, first)))
        return tp_trace_take_anew(call, TP_TRACE_SAMPLED);
    uint64_t last = tp_peek(&site->last);
    if (TP_LIKELY(((last ^ call->pc) & TP_TRACE_PC_MASK) == 0 && last >> TP_TRACE_PC_BITS != 0))
        return (uint32_t)(last >> TP_TRACE_PC_BITS);
    return tp_trace_take_anew(call, TP_TRACE_SITE);
}

#endif
