#include "trace.h"

#define TRACE_SAMPLED_FRAMES 8u
#define TRACE_DEEP_FRAMES 24u

/* Calls of a site whose stacks are all remembered, and of the later ones one in so many. */
#define TRACE_FIRST 1000u
#define TRACE_ONE_IN 64u

#define TRACE_SITES 16384u

static struct trace_site {
    uint32_t count;
    uint32_t number; /* of the stack that is the return address alone; 0: not known yet */
} trace_sites[TRACE_SITES];

static struct trace_site *trace_site_of(uintptr_t pc)
{
    return &trace_sites[(pc * UINT64_C(0x9e3779b97f4a7c15)) >> 50];
}

static bool trace_is_site(uint32_t number, uintptr_t pc)
{
    const uintptr_t *frames;
    return tp_stack_get(number, &frames) == 1 && frames[0] == pc;
}

static uint32_t trace_site(struct trace_site *site, uintptr_t pc)
{
    uint32_t number = tp_peek(&site->number);
    if (TP_LIKELY(trace_is_site(number, pc)))
        return number;
    number = tp_stack_put(&pc, 1);
    tp_poke(&site->number, number);
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
