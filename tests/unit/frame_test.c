/*
 * Our walk over call chains against the compiler's own unwinder, frame by frame.
 */
#include "unit.h"

#include "frame.h"
#include "frame_chain.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unwind.h>

enum { DEPTH = 128 };

struct chain {
    uintptr_t pc[DEPTH];
    int count;
};

static struct chain theirs, ours;
static bool recovered;

static _Unwind_Reason_Code add_frame(struct _Unwind_Context *context, void *argument)
{
    (void)argument;
    uintptr_t pc = _Unwind_GetIP(context);
    if (theirs.count < DEPTH && pc != 0)
        theirs.pc[theirs.count++] = pc;
    return _URC_NO_REASON;
}

static void walk(uintptr_t pc, uintptr_t sp, bool with_fp)
{
    struct tp_frame frame = {.pc = pc, .sp = sp};
    struct tp_call call = {pc, sp};
    recovered = with_fp && tp_frame_recover_fp(&call, tp_frame_rule_at, &frame.fp);
    frame.fp_known = recovered;
    ours.count = 0;
    do
        ours.pc[ours.count++] = frame.pc;
    while (ours.count < DEPTH && tp_frame_step(&frame, tp_frame_rule_at(frame.pc)));
}

/* As an entry point of the malloc family is called. */
static __attribute__((noinline)) void leaf(void)
{
    theirs.count = 0;
    _Unwind_Backtrace(add_frame, NULL);
    walk((uintptr_t)__builtin_return_address(0), (uintptr_t)__builtin_dwarf_cfa(), true);
}

static __attribute__((noinline)) void leaf_without_recovery(void)
{
    theirs.count = 0;
    _Unwind_Backtrace(add_frame, NULL);
    walk((uintptr_t)__builtin_return_address(0), (uintptr_t)__builtin_dwarf_cfa(), false);
}

/* Their first frame is the leaf's own. */
static void compare(const char *what, int shape)
{
    ck_assert_int_ge(theirs.count, 5);
    for (int i = 0; i < ours.count && i + 1 < theirs.count; i++)
        ck_assert_msg(ours.pc[i] == theirs.pc[i + 1], "%s, shape %d, frame %d of %d", what, shape, i, theirs.count);
    ck_assert_msg(ours.count == theirs.count - 1, "%s, shape %d: %d frames, should be %d", what, shape, ours.count,
                  theirs.count - 1);
}

START_TEST(every_shape_is_walked_to_its_end)
{
    for (int shape = 0; shape < CHAIN_SHAPES; shape++) {
        chain_with_fp(shape, leaf);
        ck_assert(recovered);
        compare("with frame pointer", shape);
        chain_without_fp(shape, leaf);
        ck_assert(recovered);
        compare("without frame pointer", shape);
    }
}
END_TEST

/* Without the register's value the walk may end early, but never goes wrong. */
START_TEST(an_unknown_frame_pointer_ends_the_walk)
{
    for (int shape = 0; shape < CHAIN_SHAPES; shape++) {
        chain_without_fp(shape, leaf_without_recovery);
        ck_assert_int_ge(ours.count, 1);
        ck_assert_int_le(ours.count, theirs.count - 1);
        for (int i = 0; i < ours.count; i++)
            ck_assert_uint_eq(ours.pc[i], theirs.pc[i + 1]);
    }
}
END_TEST

static void *in_thread(void *argument)
{
    chain_with_fp(1, leaf);
    return argument;
}

START_TEST(a_thread_s_chain_ends_where_it_began)
{
    pthread_t thread;
    pthread_create(&thread, NULL, in_thread, NULL);
    pthread_join(thread, NULL);
    compare("thread", 1);
}
END_TEST

START_TEST(what_is_no_code_has_no_rule)
{
    static const char data[16];
    ck_assert_int_eq(tp_frame_rule_at(1).base, TP_FRAME_UNKNOWN);
    ck_assert_int_eq(tp_frame_rule_at((uintptr_t)data).base, TP_FRAME_UNKNOWN);
    ck_assert_int_eq(tp_frame_rule_at((uintptr_t)&data).base, TP_FRAME_UNKNOWN);
    ck_assert_int_eq(tp_frame_rule_at(UINTPTR_MAX).base, TP_FRAME_UNKNOWN);
}
END_TEST

START_TEST(a_step_off_the_stack_is_refused)
{
    uintptr_t stack[4] = {0, 0, 0, 0};
    struct tp_frame frame = {.pc = 1, .sp = (uintptr_t)stack};
    struct tp_frame_rule back = {.base = TP_FRAME_FROM_SP, .cfa_offset = -8, .return_offset = -8};
    ck_assert(!tp_frame_step(&frame, back));
    struct tp_frame_rule far = {.base = TP_FRAME_FROM_SP, .cfa_offset = INT32_MAX - 7, .return_offset = -8};
    ck_assert(!tp_frame_step(&frame, far));
    struct tp_frame_rule odd = {.base = TP_FRAME_FROM_SP, .cfa_offset = 9, .return_offset = -8};
    ck_assert(!tp_frame_step(&frame, odd));
    struct tp_frame_rule unknown = {.base = TP_FRAME_FROM_FP, .cfa_offset = 16, .return_offset = -8};
    ck_assert(!tp_frame_step(&frame, unknown));
    struct tp_frame_rule zero = {.base = TP_FRAME_FROM_SP, .cfa_offset = 16, .return_offset = -8};
    ck_assert(!tp_frame_step(&frame, zero)); /* a return address of 0: the end */
}
END_TEST

UNIT_MAIN("frame", every_shape_is_walked_to_its_end, an_unknown_frame_pointer_ends_the_walk,
          a_thread_s_chain_ends_where_it_began, what_is_no_code_has_no_rule, a_step_off_the_stack_is_refused)
