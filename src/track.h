/*
 * Tracked blocks: who allocated each one, and how many bytes they asked for, in an array beside an ordinary page.
 *
 *   page->tracks[index]   | stack | size | turn |        of a large block: the one record in the pointer's place
 *
 * Such a block lies where it would lie untracked, and is freed by the fast path, which knows nothing of this.  So a
 * record outlives its block, and the next one may come from a fast path again.  What tells them apart are turns: a slot
 * that comes under the verifier gets a number of its own (verify.c).
 *
 * K1  While a slot has a turn, each of its blocks that is given out gets a record of that turn, or one without a stack.
 * K2  A record counts while its block lives, and for the turn that its slot has: others are of earlier blocks.
 */
#ifndef TP_TRACK_H
#define TP_TRACK_H

#include "page.h"
#include "tag.h"

/* By slot; 0: it has none.  Numbers come again after so many. */
#define TP_TRACK_TURNS (1u << 14)
extern TP_HIDDEN uint16_t tp_track_turns[TP_SLOT_COUNT];

/* A slot comes under the verifier, or leaves it.  One thread at a time. */
void tp_track_begin(uint32_t slot);
void tp_track_end(uint32_t slot);

TP_INLINE struct tp_track tp_track_made(uint32_t slot, uint32_t stack, size_t size)
{
    return (struct tp_track){stack, (uint32_t)size, tp_peek(&tp_track_turns[slot])};
}

/*
 * Note who allocated a block of a page that has records.  Of the link that it had as a free block nothing is left: a
 * search for leaks would be led there.  (Hardened ones are zero, and what stands behind their contents is there.)
 */
TP_INLINE void tp_track_write(struct tp_page *page, uint32_t index, struct tp_block *block, struct tp_track track)
{
    page->tracks[index] = track;
    if (!tp_page_is_sealed(page))
        block->next = NULL;
}

/* The same of any block; where there is no memory for records nothing is known of it. */
void tp_track_note(struct tp_page *page, void *block, uint32_t slot, uint32_t stack, size_t size);

/* A live block serves another size where it lies. */
void tp_track_resize(struct tp_page *page, uint32_t index, size_t size);

/* What is known of a live block of a slot's: the number of the stack it was allocated by, and the size asked for. */
bool tp_track_find(const struct tp_page *page, uint32_t index, uint32_t slot, uint32_t *stack, size_t *size);

/* A page retires. */
void tp_track_free(struct tp_page *page);

#endif
