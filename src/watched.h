/*
 * A watched block's life, step by step: what watch.c and the shortcut have in common, in place.
 *
 * What is written by one thread is looked at by another that checks all: so life goes up before and after.
 */
#ifndef TP_WATCHED_H
#define TP_WATCHED_H

#include "checked.h"

/* Bytes of a freed block that are filled, and looked at before it is used again. */
#define TP_WATCH_FILL TP_KIB

/* Of these the first ones are looked at when the block leaves quarantine: its page's list begins there then. */
#define TP_WATCH_LINK 16u

/* --- patterns: neighbours differ, so that a block copied over the next one shows -------------------------------- */

TP_INLINE uint8_t tp_watched_live(uint32_t index)
{
    return (uint8_t)(0xa0 | (index * 5 & 0x0f));
}

TP_INLINE uint8_t tp_watched_freed(uint32_t index)
{
    return (uint8_t)(0xf0 | (index * 5 & 0x0f));
}

TP_INLINE size_t tp_watched_fill_bytes(const struct tp_page *page)
{
    return tp_min(page->block_size, TP_WATCH_FILL);
}

/* --- looks -------------------------------------------------------------------------------------------------------- */

/* The same byte by byte, where the quick look fails or the run is long: a stop where a byte is not as it should be. */
void tp_watched_look_behind(const struct tp_page *page, uint32_t index, const char *p);
void tp_watched_look_freed(const struct tp_page *page, uint32_t index, const char *from, const char *to);

TP_INLINE void tp_watched_check_behind(const struct tp_page *page, uint32_t index, const char *p)
{
    const char *from = p + page->watch[index].size;
    if (TP_UNLIKELY(!tp_checked_is_whole(from, p + page->block_size, tp_watched_live(index))))
        tp_watched_look_behind(page, index, p);
}

/* Bytes [from, to) of a block that was freed: sixteen at least, for none is shorter than TP_WATCH_LEAST. */
TP_INLINE void tp_watched_check_freed(const struct tp_page *page, uint32_t index, const char *from, const char *to)
{
    if (TP_UNLIKELY(!tp_checked_is_whole(from, to, tp_watched_freed(index))))
        tp_watched_look_freed(page, index, from, to);
}

/* A block that had a life, and has another one now. */
TP_INLINE bool tp_watched_was_filled(const struct tp_watch *watch)
{
    return watch->life != 0;
}

/* --- life ------------------------------------------------------------------------------------------------------- */

TP_INLINE void tp_watched_step(struct tp_watch *watch)
{
    tp_publish(&watch->life, (uint8_t)(watch->life + 1));
    __atomic_thread_fence(__ATOMIC_RELEASE); /* what is written next comes after it */
}

/* What a block's life begins with. */
struct tp_watched_start {
    uint32_t size;
    uint32_t stack;
    uint32_t thread;
    uint8_t face;
    bool zero;
};

/*
 * Begin the life of a block that was taken from a watched page, and is counted.  Of its link to the next free block
 * nothing is left: a search for leaks would be led there.
 */
TP_INLINE void *tp_watched_begin(const struct tp_page *page, uint32_t index, char *p, struct tp_watched_start start)
{
    struct tp_watch *watch = &page->watch[index];
    if (tp_watched_was_filled(watch))
        tp_watched_check_freed(page, index, p + TP_WATCH_LINK, p + tp_watched_fill_bytes(page));
    tp_watched_step(watch);
    watch->size = start.size;
    watch->face = start.face;
    *tp_page_who(page, index) = (struct tp_watch_who){.alloc_stack = start.stack, .alloc_thread = start.thread};
    ((struct tp_block *)p)->next = NULL;
    if (TP_UNLIKELY(start.zero))
        memset(p, 0, start.size);
    tp_checked_fill_run(p + start.size, p + page->block_size, tp_watched_live(index));
    tp_watched_step(watch);
    return p;
}

/*
 * A block is freed, by a call stack and a thread: stops where it was written behind.  Whether it may be freed so
 * (tp_checked_stop_unless_match), counting, and the mark at its slot are the caller's.  Call tp_watch_detain when all
 * is done.
 */
TP_INLINE void tp_watched_end(struct tp_page *page, uint32_t index, char *p, uint32_t stack, uint32_t thread)
{
    struct tp_watch *watch = &page->watch[index];
    tp_watched_check_behind(page, index, p);
    tp_watched_step(watch);
    tp_page_who(page, index)->free_stack = stack;
    tp_page_who(page, index)->free_thread = thread;
    tp_checked_fill_run(p, p + tp_watched_fill_bytes(page), tp_watched_freed(index));
    tp_watched_step(watch);
}

#endif
