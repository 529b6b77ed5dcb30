#include "tell.h"
#include "blame.h"
#include "os.h"
#include "record.h"
#include "special.h"
#include "stack.h"
#include "tag.h"

#include <string.h>

/* Bytes shown on either side of the address in question. */
#define TELL_AROUND 64u

/* --- parts of a stop ------------------------------------------------------------------------------------------ */

/* Of the rules that are about touches, the second parameter says which. */
static enum tagpool_report_access tell_access(const struct tp_violation *violation)
{
    bool is_touch = violation->rule == TP_BEYOND_END_TOUCHED || violation->rule == TP_FREED_POOL_TOUCHED;
    if (!is_touch || violation->parameters[1] > 1)
        return TAGPOOL_REPORT_NO_ACCESS;
    return violation->parameters[1] == 1 ? TAGPOOL_REPORT_WRITE : TAGPOOL_REPORT_READ;
}

static void tell_add_stop(struct tp_record *record, const struct tp_violation *violation)
{
    struct tagpool_report_stop stop = {
        .rule = violation->rule,
        .code = violation->code,
        .address = (uintptr_t)violation->address,
        .access = tell_access(violation),
        .thread = tp_os_thread_id(),
        .size = violation->size,
    };
    for (int i = 0; i < 4; i++)
        stop.parameters[i] = violation->parameters[i];
    tp_record_add(record, TAGPOOL_REPORT_STOP, &stop, sizeof(stop), NULL, 0);
}

static void tell_add_block(struct tp_record *record, const struct tp_blame *blame, const void *address)
{
    struct tagpool_report_block block = {
        .address = (uintptr_t)blame->block,
        .size = blame->size,
        .offset = (const char *)address - blame->block,
        .tag = tp_tags[blame->slot].tag,
        .kind = tp_tags[blame->slot].region,
        .keeper = (uint8_t)blame->keeper,
        .state = (uint8_t)blame->state,
        .face = blame->face,
        .alloc_thread = blame->alloc_thread,
        .free_thread = blame->free_thread,
    };
    memcpy(block.name, tp_segment_slots[blame->slot].name, sizeof(block.name));
    tp_record_add(record, TAGPOOL_REPORT_BLOCK, &block, sizeof(block), NULL, 0);
}

static void tell_add_numbered_stack(struct tp_record *record, enum tagpool_report_stack_role role, uint32_t number)
{
    const uintptr_t *frames;
    unsigned count = tp_stack_get(number, &frames);
    if (count > 0)
        tp_record_add_stack(record, role, frames, count, false);
}

/* Of an ordinary block, the rule is surer than what its place tells. */
static void tell_correct_state(struct tp_blame *blame, enum tp_rule rule)
{
    if (blame->keeper != TAGPOOL_REPORT_ORDINARY)
        return;
    if (rule == TP_FREED_POOL_MODIFIED || rule == TP_CALLER_FREED_TWICE)
        blame->state = TAGPOOL_REPORT_FREED;
    else if (rule == TP_SPECIAL_OVERRUN_FOUND)
        blame->state = TAGPOOL_REPORT_LIVE;
}

/* Where the program was: at the instruction that a signal stopped, or in the call that was found wrong. */
static unsigned tell_frames(const struct tp_violation *violation, uintptr_t *frames)
{
    const struct tp_call call = {(uintptr_t)__builtin_return_address(0), (uintptr_t)__builtin_dwarf_cfa()};
    struct tp_registers at;
    if (violation->context == NULL)
        return tp_stack_capture(&call, frames, TAGPOOL_REPORT_FRAMES);
    tp_os_registers(violation->context, &at);
    return tp_stack_capture_at(at.pc, at.sp, at.fp, frames, TAGPOOL_REPORT_FRAMES);
}

static TP_NOINLINE void tell_add_here(struct tp_record *record, const struct tp_violation *violation)
{
    uintptr_t frames[TAGPOOL_REPORT_FRAMES];
    bool exact = violation->context != NULL;
    unsigned count = tell_frames(violation, frames);
    unsigned own = exact ? 0 : tp_record_own_frames(frames, count);
    tp_record_add_stack(record, TAGPOOL_REPORT_STACK_HERE, frames + own, count - own, exact);
}

/* As far as it may be read. */
static void tell_add_bytes(struct tp_record *record, const struct tp_blame *blame, const void *address)
{
    uintptr_t at = (uintptr_t)address & ~(uintptr_t)15;
    uintptr_t from = at - tp_min(at, TELL_AROUND), to = at + TELL_AROUND;
    from = from > blame->readable_from ? from : blame->readable_from;
    to = to < blame->readable_to ? to : blame->readable_to;
    if (from >= to)
        return;
    const struct tagpool_report_bytes bytes = {.address = from, .count = (uint32_t)(to - from)};
    tp_record_add(record, TAGPOOL_REPORT_BYTES, &bytes, sizeof(bytes), (const void *)from, to - from);
}

/* The first bytes that a freed block had. */
static void tell_add_kept(struct tp_record *record, const struct tp_blame *blame)
{
    const char *first, *last;
    if (blame->special == NULL || blame->state != TAGPOOL_REPORT_FREED)
        return;
    uint32_t count = tp_special_kept(blame->special, &first, &last);
    const struct tagpool_report_bytes bytes = {.address = (uintptr_t)blame->block, .count = count};
    tp_record_add(record, TAGPOOL_REPORT_BYTES, &bytes, sizeof(bytes), first, count);
}

/* --- the interface -------------------------------------------------------------------------------------------- */

bool tp_tell_stop(const struct tp_violation *violation)
{
    struct tp_record record;
    struct tp_blame blame;
    if (!tp_record_begin(&record, TAGPOOL_REPORT_STOP_RECORD))
        return false;
    tell_add_stop(&record, violation);
    tell_add_here(&record, violation);
    if (violation->address != NULL && tp_blame_find(&blame, violation->address)) {
        tell_correct_state(&blame, violation->rule);
        tell_add_block(&record, &blame, violation->address);
        tell_add_numbered_stack(&record, TAGPOOL_REPORT_STACK_ALLOC, blame.alloc_stack);
        tell_add_numbered_stack(&record, TAGPOOL_REPORT_STACK_FREE, blame.free_stack);
        tell_add_bytes(&record, &blame, violation->address);
        tell_add_kept(&record, &blame);
    }
    return tp_record_finish(&record);
}

void tp_tell_fault(const struct tagpool_report_fault *fault, const uintptr_t *frames, unsigned count)
{
    struct tp_record record;
    if (!tp_record_begin(&record, TAGPOOL_REPORT_FAULT_RECORD))
        return;
    tp_record_add(&record, TAGPOOL_REPORT_FAULT, fault, sizeof(*fault), NULL, 0);
    tp_record_add_stack(&record, TAGPOOL_REPORT_STACK_HERE, frames, count, false);
    tp_record_finish(&record);
}

void tp_tell_crash(uint32_t signal, uintptr_t address, const void *context,
                   const struct tagpool_report_counters *counters)
{
    struct tp_record record;
    uintptr_t frames[TAGPOOL_REPORT_FRAMES];
    struct tp_registers at;
    const struct tagpool_report_crash crash = {.address = address, .signal = signal, .thread = tp_os_thread_id()};
    if (!tp_record_begin(&record, TAGPOOL_REPORT_CRASH_RECORD))
        return;
    tp_record_add(&record, TAGPOOL_REPORT_CRASH, &crash, sizeof(crash), NULL, 0);
    if (counters != NULL)
        tp_record_add(&record, TAGPOOL_REPORT_COUNTERS, counters, sizeof(*counters), NULL, 0);
    tp_os_registers(context, &at);
    unsigned count = tp_stack_capture_at(at.pc, at.sp, at.fp, frames, TAGPOOL_REPORT_FRAMES);
    tp_record_add_stack(&record, TAGPOOL_REPORT_STACK_HERE, frames, count, true);
    tp_record_finish(&record);
}

bool tp_tell_leak(const struct tagpool_report_leak *leak, uint32_t stack)
{
    struct tp_record record;
    if (!tp_record_begin(&record, TAGPOOL_REPORT_LEAK_RECORD))
        return false;
    tp_record_add(&record, TAGPOOL_REPORT_LEAK, leak, sizeof(*leak), NULL, 0);
    tell_add_numbered_stack(&record, TAGPOOL_REPORT_STACK_ALLOC, stack);
    return tp_record_finish(&record);
}

void tp_tell_end(const struct tagpool_report_counters *counters)
{
    struct tp_record record;
    if (!tp_record_begin(&record, TAGPOOL_REPORT_END_RECORD))
        return;
    tp_record_add(&record, TAGPOOL_REPORT_COUNTERS, counters, sizeof(*counters), NULL, 0);
    tp_record_finish(&record);
}
