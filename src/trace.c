#include "trace.h"

#define TRACE_SAMPLED_FRAMES 8u
#define TRACE_DEEP_FRAMES 24u

/* Calls of a site whose stacks are all remembered, and of the later ones one in so many. */
#define TRACE_FIRST 1000u
#define TRACE_ONE_IN 256u

#define TRACE_SITES_LOG 14

/* A stack's number and a return address in one word, so that no thread sees one of them with another's. */
#define TRACE_PC_BITS 38
#define TRACE_PC_MASK ((UINT64_C(1) << TRACE_PC_BITS) - 1)

static struct trace_site {
    uint64_t last;  /* number << TRACE_PC_BITS | pc of the site that was here last: its return address alone */
    uint32_t count; /* calls of all sites that share the place */
    uint32_t reserved;
} trace_sites[1u << TRACE_SITES_LOG];

static struct trace_site *trace_site_of(uintptr_t pc)
{
    return &trace_sites[pc * UINT64_C(0x9e3779b97f4a7c15) >> (64 - TRACE_SITES_LOG)];
}

static uint32_t trace_site(struct trace_site *site, uintptr_t pc)
{
    uint64_t last = tp_peek(&site->last);
    if (TP_LIKELY(((last ^ pc) & TRACE_PC_MASK) == 0 && last >> TRACE_PC_BITS != 0))
        return (uint32_t)(last >> TRACE_PC_BITS);
    uint32_t number = tp_stack_put(&pc, 1);
    if (number < UINT32_C(1) << (64 - TRACE_PC_BITS))
        tp_poke(&site->last, (uint64_t)number << TRACE_PC_BITS | (pc & TRACE_PC_MASK));
    return number;
}

static uint32_t trace_frames(const struct tp_call *call, unsigned most)
{
    uintptr_t frames[TP_STACK_FRAMES];
    return tp_stack_put(frames, tp_stack_capture(call, frames, most));
}

/* Counts of two threads at a time may be lost: a turn comes later then. */
static uint32_t trace_sampled(struct trace_site *site, const struct tp_call *call)
{
    uint32_t count = tp_peek(&site->count);
    tp_poke(&site->count, count + 1);
    if (count < TRACE_FIRST || count % TRACE_ONE_IN == 0)
        return trace_frames(call, TRACE_SAMPLED_FRAMES);
    return trace_site(site, call->pc);
}

uint32_t tp_trace_take(const struct tp_call *call, enum tp_trace_level level)
{
    if (level == TP_TRACE_NONE || call->pc == 0)
        return 0;
    if (level == TP_TRACE_FULL)
        return trace_frames(call, TP_STACK_FRAMES);
    if (level == TP_TRACE_DEEP)
        return trace_frames(call, TRACE_DEEP_FRAMES);
    struct trace_site *site = trace_site_of(call->pc);
    return level == TP_TRACE_SITE ? trace_site(site, call->pc) : trace_sampled(site, call);
}
