/*
 * Watched blocks: cheap checks for every block.  A pattern behind each one, in place of its contents when it was freed,
 * and a while in quarantine before its memory is used again.
 *
 *   live         | contents, as requested        | pattern, to the end of the block |
 *   quarantined  | pattern, up to WATCH_FILL bytes ... |
 *   at home      | next | same pattern ...            |      looked at before the block is given out again
 *
 * They lie on pages of their own (heap.h) among blocks of all tags, with a record each out of their way (page.h).
 * Watched pages carry TP_OWNER_ASK, so every free comes by here.
 *
 * O1  A block in quarantine is marked as freed in its side array, counts as freed, and is not on its page's list.
 * O2  A thread's quarantine holds what that thread freed, whoever owns the page.
 */
#ifndef TP_WATCH_H
#define TP_WATCH_H

#include "checked.h"

/* Behind each block there is at least so much of its pattern. */
#define TP_WATCH_ZONE 16u

/* A block, counted; NULL: too large to be watched, or memory is exhausted. */
void *tp_watch_alloc(struct tp_thread *thread, const struct tp_checked_request *request);

/* What a block's life begins with. */
struct tp_watch_start {
    uint32_t size;
    uint32_t stack;
    uint32_t thread;
    uint8_t face;
    bool zero;
};

/* Begin the life of a block that was taken from a watched page, and is counted. */
void *tp_watch_begin(const struct tp_page *page, uint32_t index, char *p, struct tp_watch_start start);

/*
 * A block of a watched page is freed: stops where it was written behind, or by the wrong function.  Counting, and the
 * mark in the side array, are the caller's.  Call tp_watch_detain when both are done.
 */
void tp_watch_end(const struct tp_thread *thread, struct tp_page *page, uint32_t index, void *p,
                  const struct tp_checked_free *how);

/* Into quarantine; others that were there long enough go home. */
void tp_watch_detain(struct tp_thread *thread, struct tp_page *page, void *p);

/* The block serves another size from now on, if it is long enough. */
bool tp_watch_resize(struct tp_page *page, uint32_t index, void *p, size_t size);

/* Freed blocks a thread keeps from use, at most; 0: the default. */
void tp_watch_configure(uint32_t quarantine);

/* A stop for the first block, live or in quarantine, that was written to where it may not. */
void tp_watch_check_all(void);

#endif
