#include "trace.h"

#define TRACE_SAMPLED_FRAMES 8u
#define TRACE_DEEP_FRAMES 24u

struct tp_trace_site tp_trace_sites[1u << TP_TRACE_SITES_LOG];

static uint32_t trace_site(uintptr_t pc)
{
    struct tp_trace_site *site = tp_trace_site_of(pc);
    uint32_t number = tp_stack_put(&pc, 1);
    if (number < UINT32_C(1) << (64 - TP_TRACE_PC_BITS))
        tp_poke(&site->last, (uint64_t)number << TP_TRACE_PC_BITS | (pc & TP_TRACE_PC_MASK));
    return number;
}

static uint32_t trace_frames(const struct tp_call *call, unsigned most)
{
    uintptr_t frames[TP_STACK_FRAMES];
    return tp_stack_put(frames, tp_stack_capture(call, frames, most));
}

uint32_t tp_trace_take_anew(const struct tp_call *call, enum tp_trace_level level)
{
    static const unsigned frames[] = {
        0, 1, TRACE_SAMPLED_FRAMES, TRACE_SAMPLED_FRAMES, TRACE_DEEP_FRAMES, TP_STACK_FRAMES};
    if (level == TP_TRACE_NONE || call->pc == 0)
        return 0;
    return level == TP_TRACE_SITE ? trace_site(call->pc) : trace_frames(call, frames[level]);
}
