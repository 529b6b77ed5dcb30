/*
 * Hardened blocks: cheap checks for each block of all tags, in pages as they are.
 *
 *   malloc   from its page's list: as it was put there? still zero? -> sealed (seal.h)
 *   free     seal and pattern as they were? -> zeros -> into the thread's ring; one that was there goes home instead
 *
 *   ring     | block | block | ... any one is next |   | longer blocks |   | spans of large blocks |
 *
 * Pages have their list where the fast path does not look, and owner words that send every free here; so all calls are
 * slow ones, but short.  Most need nothing else: the short way is inline and calls nothing.  What a block was made with
 * is in its seal, and that of a large block in its descriptor.
 *
 * Y1  A block in a ring reads as zero, counts as freed, and is not on its page's list; its page cannot retire.
 * Y2  A thread's ring holds what that thread freed, whoever owns the page.
 */
#ifndef TP_HARDEN_H
#define TP_HARDEN_H

#include "checked.h"
#include "limit.h"

/* Blocks of at most an OS page that a thread keeps from use, longer ones, and spans: powers of two. */
#define TP_HARDEN_BLOCKS 64u
#define TP_HARDEN_LONGER 8u
#define TP_HARDEN_SPANS 8u
#define TP_HARDEN_PLACES (TP_HARDEN_BLOCKS + TP_HARDEN_LONGER)

/* Blocks that leave the ring one after the other, as they came, in the mean. */
#define TP_HARDEN_RUN 4u

struct tp_harden_ring {
    uint32_t dice;
    uint32_t next;                  /* place of the block that is the next to leave */
    void *blocks[TP_HARDEN_PLACES]; /* longer ones behind the others */
    struct tp_page *spans[TP_HARDEN_SPANS];
};

/* How long a block of a page is, by its seal; SIZE_MAX where that is none. */
TP_INLINE size_t tp_harden_size(const struct tp_page *page, const void *p)
{
    struct tp_seal seal;
    return tp_seal_read(p, page->block_size, &seal) ? page->block_size - seal.slop : SIZE_MAX;
}

/* The end of a live block of a page: a stop where it is none, or is not as it was made; it reads as zero then. */
void tp_harden_end(const struct tp_page *page, void *p, const struct tp_checked_free *how);

/* Into the ring; one that was there goes home.  Counting was the caller's. */
void tp_harden_detain(struct tp_thread *thread, struct tp_page *page, void *p);

/* A live block serves another size, which it is long enough for. */
void tp_harden_resize(const struct tp_page *page, void *p, size_t size);

/* Whether a block without a seal is free, as far as it can be told: zeros may have been written over a seal. */
bool tp_harden_is_freed(const struct tp_page *page, uint32_t index, const char *p);

/* A stop: the seal of a block that should live is none. */
void tp_harden_stop_unsealed(const struct tp_page *page, const void *p) __attribute__((noreturn, cold));

/* The same of large blocks, which were asked for with TP_SEAL_BYTES more. */
void tp_harden_make_large(struct tp_page *span, size_t size, enum tagpool_report_face face);
void tp_harden_check_large(const struct tp_page *span);
void tp_harden_resize_large(struct tp_page *span, size_t size);
void tp_harden_free_large(struct tp_thread *thread, struct tp_page *span, void *p, const struct tp_checked_free *how);

/* The calling thread's ring: what was written to meanwhile. */
void tp_harden_check_ring(void);

/* All that the thread keeps goes home. */
void tp_harden_flush(struct tp_thread *thread);

/* --- the short way -------------------------------------------------------------------------------------------- */

/* A block that was kept goes on its page's list, whoever owns that; a stop where it was written to meanwhile. */
void tp_harden_send_home(struct tp_thread *thread, char *p);

/*
 * The place after this one, or once in so many times any: neighbours in time stay neighbours in memory in runs, and
 * when a block leaves can still not be told.
 */
TP_INLINE uint32_t tp_harden_next(struct tp_harden_ring *ring)
{
    ring->dice = ring->dice * UINT32_C(1664525) + UINT32_C(1013904223);
    uint32_t dice = ring->dice >> 16;
    return (dice % TP_HARDEN_RUN == 0 ? dice / TP_HARDEN_RUN : ring->next + 1) % TP_HARDEN_BLOCKS;
}

/* Any place of so many, a power of two. */
TP_INLINE uint32_t tp_harden_throw(struct tp_harden_ring *ring, uint32_t places)
{
    ring->dice = ring->dice * UINT32_C(1664525) + UINT32_C(1013904223);
    return ring->dice >> 20 & (places - 1);
}

/* Units back to the first of a page of hardened blocks that the gate's thread owns; more than 15: none such. */
TP_INLINE uint64_t tp_harden_back(const struct tp_gate *gate, size_t unit)
{
    return tp_peek(&tp_space.owners[unit]) ^ gate->id ^ TP_OWNER_SEALED;
}

/* A short block that is as it was made, and freed as it should be; false: look closer. */
TP_INLINE bool tp_harden_is_sound(const struct tp_page *page, const char *p, unsigned face, size_t size)
{
    size_t block_size = page->block_size;
    uint32_t slop = tp_seal_short_slop(p, block_size, face);
    return slop != 0 && tp_seal_is_drawn_short(p + block_size - 8, slop - TP_SEAL_BYTES) &&
           (size == TP_SIZE_UNTOLD || size == block_size - slop);
}

/* As far as its place tells: behind the end of a page there is no seal to read, maybe no memory. */
TP_INLINE bool tp_harden_is_near(const struct tp_page *page, const void *p)
{
    return (uintptr_t)p % TP_UNIT + page->block_size <= TP_UNIT;
}

/* Into the ring, and one that was there on its page's list; of at most an OS page. */
TP_INLINE void tp_harden_swap_short(const struct tp_gate *gate, void *p)
{
    struct tp_harden_ring *ring = gate->ring;
    char *old = ring->blocks[ring->next];
    ring->blocks[ring->next] = p;
    ring->next = tp_harden_next(ring);
    tp_prefetch_for_write(ring->blocks[ring->next]);
    if (TP_UNLIKELY(old == NULL))
        return;
    size_t unit = tp_unit_of(old);
    uint64_t back = tp_harden_back(gate, unit);
    if (TP_UNLIKELY(back > TP_OWNER_BACK_MASK || !tp_seal_begins_zero(old))) {
        tp_harden_send_home(gate->thread, old);
        return;
    }
    struct tp_page *page = &tp_space.pages[unit - back];
    if (TP_UNLIKELY(tp_page_push_sealed(page, old)))
        tp_heap_woken(page);
}

#endif
