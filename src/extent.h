/*
 * Extents: how much of the memory above a stack pointer can be read.
 *
 *     sp            low                          end
 *     |  not asked   |  known to be readable      |   the thread pointer; of the first thread, what the kernel left
 *     +--------------+----------------------------+   above the environment
 *
 * A walk over frames believes nothing that it reads: each word must lie between the stack pointer it began with and
 * the end of that stack.  Libraries put a thread's own block at the end of its stack, so the thread pointer is the end,
 * and what lies below it in one piece stays mapped while the thread runs: nothing goes stale when stacks are unmapped
 * and others take their place.  What is known of an end is kept in a word: down to which page the kernel, asked about
 * one after the other, could read all.  A deeper call adds to it.
 *
 * Any other stack (a coroutine's, one for signals) may come and go unseen.  Of those nothing is kept: a walk asks about
 * each OS page it reads, which is one or two of them.
 *
 * E1  What is known of an end is one word, so that no reader sees half of it, and is true while its thread runs.  (But
 *     for a stack without a guard page, joined by memory that is not its own, where that is unmapped and serves as
 *     another stack again.)
 */
#ifndef TP_EXTENT_H
#define TP_EXTENT_H

#include "base.h"

/* What one walk may read.  begin and end are multiples of a word wherever a word between them is read. */
struct tp_extent {
    uintptr_t begin;
    uintptr_t end;
    uintptr_t lowest; /* below it is no frame of this walk */
    bool is_whole;    /* nothing beyond belongs to the stack; else ask for further pages */
};

/* The stack that `sp` points into.  Takes no lock; safe in signal handlers, as all here. */
void tp_extent_open(struct tp_extent *extent, uintptr_t sp);

/* Move to the OS page of `address`, if it may be read. */
bool tp_extent_move(struct tp_extent *extent, uintptr_t address);

TP_INLINE bool tp_extent_read(struct tp_extent *extent, uintptr_t address, uintptr_t *value)
{
    if (TP_UNLIKELY(address % sizeof(uintptr_t) != 0))
        return false;
    if (TP_UNLIKELY(address - extent->begin >= extent->end - extent->begin) && !tp_extent_move(extent, address))
        return false;
    *value = *(const uintptr_t *)address;
    return true;
}

#endif
