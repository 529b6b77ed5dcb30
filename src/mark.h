/*
 * Marks: which blocks can be reached, from words that may be pointers.
 *
 *   reached    by a chain of pointers to the beginnings of blocks
 *   possibly   by a chain, of which one at least leads into the middle of a block, or just behind its end
 *
 * All words at multiples of 8 bytes count (of a block, from its beginning on).  What is reached for certain is
 * followed first and the rest afterwards, so each block is read once, and what a block is does not depend on the order.
 *
 * The stack of what is to be read has a fixed size.  What finds no place there is pending: its state says so, and it is
 * looked for when the stack is empty.  So there is no recursion, and memory is a byte a block.
 */
#ifndef TP_MARK_H
#define TP_MARK_H

#include "inventory.h"

struct tp_mark {
    struct tp_image *image;
    struct tp_inventory *inventory;
    struct tp_mark_entry *stack;
    size_t depth;
    bool has_pending;
    bool is_possibly; /* the second half */
    uint64_t *pages;
    char *buffer;
};

/* -ENOMEM: there is no room to work in. */
int tp_mark_begin(struct tp_mark *mark, struct tp_inventory *inventory);

/* What these words lead to is reached. */
void tp_mark_words(struct tp_mark *mark, const uintptr_t *words, size_t count);

/* What the words of a range lead to; what cannot be read is passed over, as are pages that are not the process's own.
 */
void tp_mark_range(struct tp_mark *mark, uintptr_t from, uintptr_t to);

/* The block that an address lies in is used from there on: it is reached, and what it holds there. */
void tp_mark_rest(struct tp_mark *mark, uintptr_t address);

/* All roots have been given: follow what they left open. */
void tp_mark_finish(struct tp_mark *mark);

#endif
