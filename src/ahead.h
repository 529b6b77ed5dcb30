/*
 * What threads hold ahead of a tag's meter: bytes that are in its bound already, for the watched blocks that a thread
 * will make.  So one who allocates and frees all the time waits for nobody's word (limit.h, J1).
 */
#ifndef TP_AHEAD_H
#define TP_AHEAD_H

#include "thread.h"

/* Taken at a time; twice as much is too much. */
#define TP_AHEAD_BYTES (16 * TP_KIB)

/* Threads give back what they hold when they end.  Before the first tp_ahead_give. */
void tp_ahead_begin(void);

bool tp_ahead_draw_more(struct tp_thread_slot *entry, uint32_t slot, size_t bytes);
void tp_ahead_give_back(struct tp_thread_slot *entry, uint32_t slot);

/* As tp_limit_grow of the slot's meter. */
TP_INLINE bool tp_ahead_draw(struct tp_thread_slot *entry, uint32_t slot, size_t bytes)
{
    if (TP_UNLIKELY(entry->drawn < bytes))
        return tp_ahead_draw_more(entry, slot, bytes);
    entry->drawn -= (uint32_t)bytes;
    return true;
}

/* As tp_limit_shrink. */
TP_INLINE void tp_ahead_give(struct tp_thread_slot *entry, uint32_t slot, size_t bytes)
{
    entry->drawn += (uint32_t)bytes;
    if (TP_UNLIKELY(entry->drawn > 2 * TP_AHEAD_BYTES))
        tp_ahead_give_back(entry, slot);
}

#endif
