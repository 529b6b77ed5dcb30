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

/* Large blocks, and threads that have no tally. */
void tp_account_alloc_direct(uint32_t slot, size_t size);
void tp_account_free_direct(uint32_t slot, size_t size);
void tp_account_resize_direct(uint32_t slot, size_t from, size_t to);

/* A page comes to this slot and class: what its row held for another goes to that one first. */
void tp_account_assign(struct tp_page *page);

/* A thread ends: its tallies go to their slots. */
void tp_account_fold(struct tp_thread *thread);

/* In a forked child: a row counts the blocks that are live as allocated. */
void tp_account_inherit(struct tp_page *page);
void tp_account_forget_tallies(struct tp_thread *thread);

#endif
