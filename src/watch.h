/*
 * Watched blocks: cheap checks for every block.  A pattern behind each one, in place of its contents when it was freed,
 * and a while in quarantine before its memory is used again.
 *
 *   live         | contents, as requested        | pattern, to the end of the block |
 *   quarantined  | pattern, up to TP_WATCH_FILL bytes .. |
 *   at home      | next | same pattern ...            |      looked at before the block is given out again
 *
 * They lie on pages of their own (heap.h) among blocks of all tags, with records of each out of their way (page.h).
 * How a life begins and ends is in watched.h.
 * Watched pages carry TP_OWNER_ASK, so every free comes by here.
 *
 * O1  A block in quarantine is marked as freed in its record, counts as freed, and is not on its page's list.
 * O2  A thread's quarantine holds what that thread freed, whoever owns the page.
 */
#ifndef TP_WATCH_H
#define TP_WATCH_H

#include "checked.h"

/* Behind each block there is at least so much of its pattern. */
#define TP_WATCH_ZONE 8u

/* None is shorter, for there is a pattern behind the link of a free one. */
#define TP_WATCH_LEAST 32u

/* Bytes that a request needs. */
TP_INLINE size_t tp_watch_room(size_t size)
{
    return tp_max(size + TP_WATCH_ZONE, TP_WATCH_LEAST);
}

/* A block, counted; NULL: too large to be watched, or memory is exhausted. */
void *tp_watch_alloc(struct tp_thread *thread, const struct tp_checked_request *request);

/* Into quarantine; others that were there long enough go home. */
void tp_watch_detain(struct tp_thread *thread, const struct tp_page *page, uint32_t index, void *p);

/* The block serves another size from now on, if it is long enough. */
bool tp_watch_resize(struct tp_page *page, uint32_t index, void *p, size_t size);

/* Freed blocks a thread keeps from use, at most; 0: the default. */
void tp_watch_configure(uint32_t quarantine);

/* A stop for the first block, live or in quarantine, that was written to where it may not. */
void tp_watch_check_all(void);

#endif
