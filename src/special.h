/*
 * Special pool: blocks on OS pages of their own, with guard pages around them, so that the instruction that touches
 * what it may not is stopped.
 *
 *   | guard | pattern  block slop | guard | block slop  pattern | guard | freed .......... | guard |
 *           <-- run, at the end -->       <-- at the start ---->        <- in quarantine ->
 *
 * A run is the OS pages of one block and the guard behind them; the guard before a block is that of the run before it.
 * A run keeps its length and its record for good: freed, it waits in quarantine with all its pages guards, and then
 * for a block that needs as many pages.
 *
 * B1  map[page] is the record of the run that a page of the area belongs to.
 * B2  A record is LIVE from before its block is given out until the free that ends it, but for moments when it is HELD.
 *     Who takes a record from LIVE to HELD alone ends its block, or looks at the bytes around it; others wait.
 * B3  Pages of a run are open only while its record is LIVE or HELD, but for the moments of its beginning and end.
 *
 * Lock: TP_LOCK_SPECIAL for bins, quarantine and watermarks; pages are opened and closed without it.
 */
#ifndef TP_SPECIAL_H
#define TP_SPECIAL_H

#include "checked.h"
#include "guard.h"

/* Bytes of a freed block's beginning and end that are kept for the report. */
#define TP_SPECIAL_KEPT 64u

enum tp_special_state { TP_SPECIAL_FREE, TP_SPECIAL_LIVE, TP_SPECIAL_HELD, TP_SPECIAL_FREED };

struct tp_special {
    char *block;
    size_t size;    /* as requested */
    uint32_t first; /* page of the area, first of the run */
    uint32_t room;  /* pages of the run, its guard included */
    uint32_t next;  /* record, in a bin or in quarantine */
    uint32_t alloc_stack;
    uint32_t free_stack;
    uint32_t alloc_thread;
    uint32_t free_thread;
    uint16_t slot;
    uint16_t account;
    uint8_t state; /* enum tp_special_state */
    uint8_t face;
    uint8_t pattern;
    uint8_t reserved;
};

/* The part of the address space that special pool has had of, and its tables; nothing before its first block. */
struct tp_special_area {
    uintptr_t base;
    size_t used;     /* bytes */
    size_t reserved; /* bytes, tables included */
    uint32_t *map;   /* B1; 0: the page belongs to none */
    struct tp_special *records;
    uint32_t records_used; /* one more than the highest */
};
extern TP_HIDDEN struct tp_special_area tp_special_area;

TP_INLINE bool tp_special_owns(const void *p)
{
    return (uintptr_t)p - tp_peek(&tp_special_area.base) < tp_peek(&tp_special_area.used);
}

TP_INLINE bool tp_special_lives(const struct tp_special *special)
{
    uint8_t state = tp_peek(&special->state);
    return state == TP_SPECIAL_LIVE || state == TP_SPECIAL_HELD;
}

/* Which guards to use, and how many freed blocks to keep.  Before the first block. */
void tp_special_configure(enum tp_guard_kind guards, uint32_t quarantine);

/* A block, counted; NULL: refused, and ordinary pool must serve it.  `thread` may be NULL. */
void *tp_special_alloc(struct tp_thread *thread, const struct tp_checked_request *request);

/* End a block; stops where one was not made, was written around, or was ended already. */
void tp_special_free(struct tp_thread *thread, void *p, const struct tp_checked_free *how);

/* The record of the run that an address of the area lies in; NULL: none. */
const struct tp_special *tp_special_at(const void *p);

/*
 * The record of the block that a touched address has to do with: the one it lies in, or the nearer one of its guard's
 * neighbours, a live one first.  NULL: none.
 */
const struct tp_special *tp_special_blame(const void *p);

/* Whether the program may touch the OS page of an address: it is one of the block's, and the block lives. */
bool tp_special_is_open(const struct tp_special *special, const void *p);

/* The live block that begins at p, or a stop. */
const struct tp_special *tp_special_look_up(const void *p);

/* No account is charged for the block any more. */
void tp_special_forget_account(const void *p);

/* What the first and last bytes of a freed block were: at most TP_SPECIAL_KEPT each; their number. */
uint32_t tp_special_kept(const struct tp_special *special, const char **first, const char **last);

/* Call each(record, argument) for all live blocks, as far as no other thread makes or frees any. */
void tp_special_each(void (*each)(const struct tp_special *special, void *argument), void *argument);

/* Live blocks that were written around: a stop for the first.  Other threads may be at work. */
void tp_special_check_all(void);

/* In a forked child: what is live counts for it (F3).  `consistent`: nobody was in the middle of something. */
void tp_special_adopt(bool consistent);

#endif
