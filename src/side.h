/*
 * Side arrays: what a mixed page knows of each of its blocks.
 *
 *   page->side[index]       slot of the block, marked once it was freed
 *   page->accounts[index]   quota account it is charged to; the array is made when the page's first block is charged
 *   page->watch[index]      of watched pages, in place of the slot: a record (page.h)
 *
 * The mark stays until the block is given out again: a second free is told from a first by it.
 */
#ifndef TP_SIDE_H
#define TP_SIDE_H

#include "page.h"

/* A block in a side array that was freed: on its way home, or at home and not given out again. */
#define TP_SIDE_FREED 0x8000u

/* The arrays of a page; false: memory is exhausted. */
bool tp_side_make(struct tp_page *page);
void tp_side_free(struct tp_page *page);

/* A block is the slot's and the account's from now on; false: there is no memory to note the account. */
bool tp_side_give(struct tp_page *page, uint32_t index, uint32_t slot, uint32_t account);

/* Whose a block is: slot 0 if it is free. */
struct tp_side tp_side_peek(const struct tp_page *page, uint32_t index);

/* The same, and it is marked as freed; stops when it was freed already. */
struct tp_side tp_side_take(struct tp_page *page, uint32_t index, const void *p);

/* Where the slot of a block stands. */
TP_INLINE uint16_t *tp_side_slot(const struct tp_page *page, uint32_t index)
{
    return TP_UNLIKELY(page->watched) ? &page->watch[index].slot : &page->side[index];
}

/* The slot a block had last, freed or not. */
TP_INLINE uint32_t tp_side_last_slot(const struct tp_page *page, uint32_t index)
{
    return *tp_side_slot(page, index) & ~TP_SIDE_FREED;
}

uint16_t tp_side_account(const struct tp_page *page, uint32_t index);
void tp_side_forget_account(struct tp_page *page, uint32_t index);

#endif
