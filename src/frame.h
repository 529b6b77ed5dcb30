/*
 * Frames: the caller's caller, read from the unwind tables that every library carries (.eh_frame).
 *
 * Takes no lock and allocates nothing: the table of a library is found by _dl_find_object.  Only what a step needs is
 * followed: where the return address and the frame pointer of the caller lie.
 */
#ifndef TP_FRAME_H
#define TP_FRAME_H

#include "extent.h"

/* A call into the malloc family: its return address, and the stack pointer after the return. */
struct tp_call {
    uintptr_t pc;
    uintptr_t sp;
};

/* A point in a call chain: the return address into a function, and the stack pointer there after the return. */
struct tp_frame {
    uintptr_t pc;
    uintptr_t sp;
    uintptr_t fp; /* value of the frame pointer register there, if fp_known */
    bool fp_known;
};

/* How to leave a function from one of its return addresses.  Fits a word, to be kept in a table. */
struct tp_frame_rule {
    int32_t cfa_offset;
    int16_t return_offset; /* of the return address, from the CFA */
    int8_t fp_slot;        /* saved frame pointer, in words from the CFA; 0: not saved */
    uint8_t base;          /* enum: what cfa_offset counts from */
};
enum {
    TP_FRAME_UNKNOWN,
    TP_FRAME_FROM_SP,
    TP_FRAME_FROM_FP,
    TP_FRAME_FROM_SLOT, /* the CFA is kept there, from the frame pointer: the function aligned its stack by itself */
    TP_FRAME_SIGNAL,    /* the kernel's frame around a signal handler */
    TP_FRAME_OUTERMOST, /* nobody called this function */
};

_Static_assert(sizeof(struct tp_frame_rule) == 8, "fits a word");

/* The rule at a return address; base TP_FRAME_UNKNOWN when there is none that this file can follow. */
struct tp_frame_rule tp_frame_rule_at(uintptr_t pc);

/* Go to the caller; false at the end of the chain, or when the rule cannot be followed.  Believes what it reads. */
bool tp_frame_step(struct tp_frame *frame, struct tp_frame_rule rule);

TP_INLINE bool tp_frame_find_cfa(struct tp_extent *extent, const struct tp_frame *frame, struct tp_frame_rule rule,
                                 uintptr_t *cfa)
{
    uintptr_t offset = (uintptr_t)(intptr_t)rule.cfa_offset;
    if (rule.base == TP_FRAME_FROM_SP)
        *cfa = frame->sp + offset;
    else if (rule.base == TP_FRAME_FROM_FP && frame->fp_known)
        *cfa = frame->fp + offset;
    else
        return rule.base == TP_FRAME_FROM_SLOT && frame->fp_known && tp_extent_read(extent, frame->fp + offset, cfa);
    return true;
}

TP_INLINE bool tp_frame_restore_fp(struct tp_extent *extent, struct tp_frame *frame, struct tp_frame_rule rule,
                                   uintptr_t cfa)
{
    if (rule.fp_slot == 0 && rule.base != TP_FRAME_FROM_SLOT)
        return true;
    uintptr_t slot = cfa + sizeof(uintptr_t) * (uintptr_t)(intptr_t)rule.fp_slot;
    frame->fp_known = tp_extent_read(extent, rule.base == TP_FRAME_FROM_SLOT ? frame->fp : slot, &frame->fp);
    return frame->fp_known;
}

/* The same for a chain that may be broken: reads in the extent alone. */
TP_INLINE bool tp_frame_step_within(struct tp_extent *extent, struct tp_frame *frame, struct tp_frame_rule rule)
{
    uintptr_t cfa;
    if (!tp_frame_find_cfa(extent, frame, rule, &cfa))
        return false;
    /* Stacks grow down and frames are of bounded size: anything else is not a stack. */
    if (cfa <= frame->sp || cfa - frame->sp > 64 * TP_MIB || cfa % sizeof(uintptr_t) != 0)
        return false;
    if (!tp_frame_restore_fp(extent, frame, rule, cfa))
        return false;
    frame->sp = cfa;
    return tp_extent_read(extent, cfa + (uintptr_t)(intptr_t)rule.return_offset, &frame->pc) && frame->pc != 0;
}

/*
 * From TP_FRAME_SIGNAL to what the signal interrupted, maybe on another stack.  The pc becomes one more than it was
 * there, as if it were a return address.
 */
bool tp_frame_leave_signal(struct tp_extent *extent, struct tp_frame *frame);

/*
 * The frame pointer register as it was when our entry function was called.  False when our own frames, whose rules
 * `rule_at` gives, cannot be followed up to there.
 */
bool tp_frame_recover_fp(const struct tp_call *call, struct tp_frame_rule (*rule_at)(uintptr_t pc), uintptr_t *fp);

#endif
