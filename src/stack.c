#include "stack.h"
#include "frame.h"
#include <ucontext.h>
static unsigned walk(struct tp_frame f, uintptr_t *frames, unsigned most)
{
    unsigned n = 0;
    while (n < most) { frames[n++] = f.pc; if (!tp_frame_step(&f, tp_frame_rule_at(f.pc))) break; }
    return n;
}
unsigned tp_stack_capture(const struct tp_call *call, uintptr_t *frames, unsigned most)
{
    struct tp_frame f = {.pc = call->pc, .sp = call->sp};
    return walk(f, frames, most);
}
unsigned tp_stack_capture_context(const void *context, uintptr_t *frames, unsigned most)
{
    const ucontext_t *u = context;
    struct tp_frame f = {.pc = u->uc_mcontext.gregs[REG_RIP]+1, .sp = u->uc_mcontext.gregs[REG_RSP], .fp=u->uc_mcontext.gregs[REG_RBP], .fp_known=true};
    unsigned n = walk(f, frames, most);
    if (n) frames[0]--;
    return n;
}
unsigned tp_stack_get(uint32_t number, const uintptr_t **frames) { return 0; }
