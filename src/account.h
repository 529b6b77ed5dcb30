/*
 * Accounts: which counter a call adds to.
 *
 *   a block of an owned page   the page's row; freed by another thread: that thread's tally
 *   a block of a mixed page    the calling thread's tally, both ways
 *   a large block              the slot itself, atomically
 *
 * U1  A row, a tally and a slot only lose what another of them gains, between two steps of the slot's sequence.
 * U2  A call adds before the block can be seen again by anyone (free) or when it is certain to succeed (alloc).
 */
#ifndef TP_ACCOUNT_H
#define TP_ACCOUNT_H

#include "thread.h"

/* One call by `thread`, outside of rows. */
void tp_account_alloc(struct tp_thread *thread, uint32_t slot, size_t size);
void tp_account_free(struct tp_thread *thread, uint32_t slot, size_t size);

/* The same in a tally that is there. */
TP_INLINE void tp_account_alloc_in(struct tagpool_segment_tally *tally, size_t size)
{
    tp_count(&tally->alloc_bytes_total, size);
    tp_count(&tally->allocs_total, 1);
}

TP_INLINE void tp_account_free_in(struct tagpool_segment_tally *tally, size_t size)
{
    tp_count(&tally->free_bytes_total, size);
    tp_count(&tally->frees_total, 1);
}

/* The thread's tally of a slot, made if need be; NULL where none is to be had. */
struct tagpool_segment_tally *tp_account_tally(struct tp_thread *thread, uint32_t slot);

/* Large blocks, and threads that have no tally. */
void tp_account_alloc_direct(uint32_t slot, size_t size);
void tp_account_free_direct(uint32_t slot, size_t size);
void tp_account_resize_direct(uint32_t slot, size_t from, size_t to);

/* A page comes to this slot and class: what its row held for another goes to that one first. */
void tp_account_assign(struct tp_page *page);

/* A thread ends: its tallies go to their slots. */
void tp_account_fold(struct tp_thread *thread);

/* What a slot that no page belongs to (a lookaside list's) has counted. */
struct tp_account_sum {
    uint64_t allocs;
    uint64_t frees;
    uint64_t alloc_bytes;
    uint64_t free_bytes;
};
struct tp_account_sum tp_account_sum(uint32_t slot);

/*
 * Bytes that callers hold now under a slot, or in a pool (by region).  Frees that come meanwhile may be left out; an
 * allocation is, where its call was not through when this one began.
 */
uint64_t tp_account_live(uint32_t slot);
uint64_t tp_account_live_in_pool(unsigned region);

/* A thread's tally goes to its slot now.  Not while the thread counts there. */
void tp_account_close(struct tp_thread *thread, uint32_t slot);

/* In a forked child: a row counts the blocks that are live as allocated. */
void tp_account_inherit(struct tp_page *page);
void tp_account_forget_tallies(struct tp_thread *thread);

#endif
