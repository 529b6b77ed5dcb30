/*
 * Heaps: the pages of one thread for one slot, a queue a size class.
 *
 * A slot starts cold: its blocks come from the thread's mixed pages, which several tags share, with the slot of each
 * block in a side array.  After some blocks it gets a heap; each class of the heap goes on with mixed pages until it
 * has proved that a page of its own will be filled.  So a thousand tags cost what their blocks need.
 *
 * E1  page[class] is the head of the class's queue, or &tp_page_none.  Every page of a queue has a free block or room
 *     to carve one, but for the head, which may just have run out.
 * E2  A page without either is full: on the heap's list of full pages, and the first free of its blocks tells
 *     tp_heap_woken.
 * E3  A full page that gets a block back goes to the end of its queue: it fills up before its turn comes.
 * E4  The owner words of a heap's pages are the thread's id, unless it is mixed, armed, or the orphans'; with a mark
 *     where blocks are hardened.
 */
#ifndef TP_HEAP_H
#define TP_HEAP_H

#include "thread.h"

struct tp_heap {
    struct tp_page *page[TP_CLASS_LIMIT];
    struct tp_page *tail[TP_CLASS_LIMIT];
    uint16_t mixed_live[TP_CLASS_LIMIT];   /* blocks of this slot and class in mixed pages */
    uint16_t mixed_allocs[TP_CLASS_LIMIT]; /* calls, up to the limit */
    uint64_t owned;                        /* bit c: class c has pages of its own */
    uint64_t proven;                       /* bit c: a page of class c was full once, or gave back memory */
    struct tp_page *full;
    struct tp_thread *thread;
    struct tp_heap *next; /* of the thread's heaps */
    uint32_t slot;        /* TAGPOOL_SEGMENT_NO_SLOT: a mixed heap */
    uint8_t layout;
    bool watched; /* a mixed heap whose blocks have patterns around them */
    bool armed;   /* a limit is near: its owner words say ASK, so that each free is seen (E4) */
};

/*
 * The heap pointer of a cold slot in a gate's table: a place in an array of pointers to the empty page, so that the
 * fast path finds nothing and the slow path finds the slot.
 */
struct tp_heap *tp_heap_cold(uint32_t slot);
void tp_heap_cold_ready(uint32_t slot);

/* Read at any place, for any class: the empty page. */
extern TP_HIDDEN struct tp_page *tp_heap_cold_pages[TP_SLOT_COUNT + TP_CLASS_LIMIT];

TP_INLINE bool tp_heap_is_cold(const struct tp_heap *heap, uint32_t *slot)
{
    uintptr_t offset = (uintptr_t)heap - (uintptr_t)tp_heap_cold_pages;
    *slot = (uint32_t)(offset / sizeof(tp_heap_cold_pages[0]));
    return offset < sizeof(tp_heap_cold_pages);
}

/* A block of a class for a slot, counted; NULL when memory is exhausted.  The thread's own call. */
void *tp_heap_alloc(struct tp_thread *thread, uint32_t slot, unsigned class);

/* The same of a heap that is there. */
void *tp_heap_alloc_warm(struct tp_heap *heap, unsigned class);

/* A free block was written to. */
void tp_heap_stop_modified(const struct tp_page *page, const char *block) __attribute__((noreturn, cold));

/* The first block of a page's list of hardened ones, which is not empty: its link was looked at, and is zero. */
TP_INLINE char *tp_heap_unlink(struct tp_page *page)
{
    char *block = (char *)page->sealed;
    void *next;
    if (TP_UNLIKELY(!tp_seal_next(block, &next)))
        tp_heap_stop_modified(page, block);
    page->sealed = next;
    page->used++;
    tp_prefetch_for_write(next);
    memset(block, 0, 16);
    return block;
}

/* As tp_page_pop, of hardened blocks: looked at first, so that the block reads as zero. */
void *tp_heap_pop_sealed(struct tp_page *page);

/* The same of blocks that are short, on an owned page that has one. */
TP_INLINE char *tp_heap_pop_short(struct tp_page *page, size_t block_size)
{
    char *block = tp_heap_unlink(page);
    if (TP_UNLIKELY(!tp_seal_is_blank_short(block, block_size)))
        tp_heap_stop_modified(page, block);
    return block;
}

/* Put blocks back on their page, which is the thread's.  Counting was the caller's. */
void tp_heap_put(struct tp_page *page, struct tp_block *first, struct tp_block *last, uint32_t count);

/* The fast path put back a block of a full page, or the last one out, or one too many. */
void tp_heap_woken(struct tp_page *page);

/* Open the mail, and retire pages that are kept though nothing is on them.  The thread's own call. */
void tp_heap_trim(struct tp_thread *thread);

/* What is asked of mixed pages, which know of each block what it counts for. */
struct tp_mixed_request {
    uint32_t slot;
    uint32_t account;
    unsigned class;
    size_t size;
};

/* A block of a mixed page, whatever the slot has earned, that is charged to a quota account. */
void *tp_heap_alloc_charged(struct tp_thread *thread, uint32_t slot, unsigned class, uint32_t account);

/*
 * A block of a class on a watched page, which counts `size` bytes for the slot; *page is the one it lies on.  NULL when
 * memory is exhausted.
 */
void *tp_heap_alloc_watched(struct tp_thread *thread, const struct tp_mixed_request *request, struct tp_page **page);

/*
 * A thread ends: its pages go to the orphans.  Under TP_LOCK_ORPHANS.  False: memory is exhausted, and the thread
 * still owns some.
 */
bool tp_heap_orphan_all(struct tp_thread *thread);

#endif
