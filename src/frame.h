/*
 * Frames: the caller's caller, read from the unwind tables that every library carries (.eh_frame).
 *
 * Takes no lock and allocates nothing: the table of a library is found by _dl_find_object.  Only what a step needs is
 * followed: where the return address and the frame pointer of the caller lie.
 */
#ifndef TP_FRAME_H
#define TP_FRAME_H

#include "base.h"

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
enum { TP_FRAME_UNKNOWN, TP_FRAME_FROM_SP, TP_FRAME_FROM_FP };

_Static_assert(sizeof(struct tp_frame_rule) == 8, "fits a word");

/* The rule at a return address; base TP_FRAME_UNKNOWN when there is none that this file can follow. */
struct tp_frame_rule tp_frame_rule_at(uintptr_t pc);

/* Go to the caller; false at the end of the chain, or when the rule cannot be followed. */
bool tp_frame_step(struct tp_frame *frame, struct tp_frame_rule rule);

/*
 * The frame pointer register as it was when our entry function was called from `pc` with the stack at `sp`.  False
 * when our own frames cannot be followed up to there.
 */
bool tp_frame_recover_fp(uintptr_t pc, uintptr_t sp, uintptr_t *fp);

#endif
