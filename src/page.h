/*
 * Pages: one to eight units of pool memory cut into equal blocks, and the words that say who may free them.
 *
 *   owners[unit]   56 bits thread id | 4 bits: units back to the page's first unit
 *   pages[unit]    descriptor of the page that begins in this unit; private memory, never in the blocks' way
 *   rows[unit]     shared counters of that page (include/tagpool/segment.h)
 *
 *   free block     | next | ......... |      a block has no header; a free one holds the next free one
 *
 * Hardened blocks (seal.h) are on a list of their own, so that the fast path finds none.
 *
 * A free is fast when owners[unit] xor the thread's id is below 16: then the page is this thread's, may take the
 * block without a question, and begins that many units back.  All else carries TP_OWNER_ASK: mixed pages, orphans and
 * large blocks; and TP_OWNER_NONE: nothing is allocated there.
 *
 * P1  used = blocks given out and not put back (a block freed by another thread counts until it is put back).
 * P2  Blocks on `free` or `sealed` are carved, belong to this page, and are on it once.
 * P3  Only the owner writes a page, the owner of orphans being whoever holds TP_LOCK_ORPHANS.
 * P4  owners[unit] is TP_OWNER_NONE outside live pages and the first unit of large blocks.
 * P5  The hot words lie at 0 modulo 16, the counters of a row at 8 modulo 16 (see segment.h on store forwarding).
 */
#ifndef TP_PAGE_H
#define TP_PAGE_H

#include "fatal.h"
#include "seal.h"
#include "sizeclass.h"
#include "space.h"

#include <tagpool/segment.h>

/* Compiled out in one bench build only, to measure what the accounts cost. */
#ifndef TP_ACCOUNTS
#define TP_ACCOUNTS 1
#endif

#define TP_OWNER_BACK_MASK UINT64_C(15)
#define TP_OWNER_NONE UINT64_C(0)
#define TP_OWNER_ASK UINT64_C(16)
/* With a thread's id: the blocks are hardened, and the fast path asks. */
#define TP_OWNER_SEALED (UINT64_C(1) << 63)
#define TP_OWNER_FIRST_THREAD 2u /* thread index i has id (i + 2) << 4 */

/* What `used - 1` of a page is compared with after a free.  Wrapped, 0 and one below 0 are not below the second. */
#define TP_PAGE_WAKE_FULL 0u
#define TP_PAGE_WAKE_EMPTY (UINT32_MAX - 1)

struct tp_heap;
struct tp_thread;

struct tp_block {
    struct tp_block *next;
};

/* The number of no quota account. */
#define TP_ACCOUNT_NONE 0u

/*
 * What a watched page knows of a block (watch.h), in place of a mixed page's array of slots.  A free waits for this
 * record, so eight of them share a cache line; those of who it was are an array behind them, and only written.
 */
struct tp_watch {
    uint32_t size; /* as requested */
    uint16_t slot; /* as in a side array (side.h) */
    uint8_t face;  /* enum tagpool_report_face */
    uint8_t life;  /* enum tp_watch_life in its lower bits; goes up with each step */
};

struct tp_watch_who {
    uint32_t alloc_stack; /* numbers of stack.h; 0: none was taken */
    uint32_t free_stack;
    uint32_t alloc_thread; /* as the kernel numbers them */
    uint32_t free_thread;
};

/* Bytes of both, a block. */
#define TP_WATCH_EACH (sizeof(struct tp_watch) + sizeof(struct tp_watch_who))

/* Patterns stand while a block lives, and when it is at rest; in between they are being written. */
enum tp_watch_life { TP_WATCH_AT_REST, TP_WATCH_BEGINS, TP_WATCH_LIVES, TP_WATCH_ENDS, TP_WATCH_LIFE_STEPS };

TP_INLINE enum tp_watch_life tp_watch_life(const struct tp_watch *watch)
{
    return (enum tp_watch_life)(tp_peek(&watch->life) % TP_WATCH_LIFE_STEPS);
}

/* What a page of ordinary blocks knows of a block that is tracked (track.h). */
struct tp_track {
    uint32_t stack;     /* a number of stack.h; 0: none was taken */
    uint32_t size : 18; /* as requested; of a large block: how many of its bytes were not */
    uint32_t turn : 14;
};

/* What a mixed page knows of a block. */
struct tp_side {
    uint16_t slot;    /* TAGPOOL_SEGMENT_NO_SLOT: it is free */
    uint16_t account; /* quota account it is charged to, or TP_ACCOUNT_NONE */
};

enum tp_unit_state {
    TP_UNIT_UNUSED = 0, /* never given out */
    TP_UNIT_CLEAN,      /* first unit of a free run that reads as zero and costs no memory */
    TP_UNIT_DIRTY,      /* first unit of a free run with memory behind it */
    TP_UNIT_BLOCKS,     /* first unit of a page of blocks */
    TP_UNIT_LARGE,      /* first unit of a block with a span of its own */
    TP_UNIT_DETAINED,   /* first unit of such a span, for a while after its block was freed */
};

struct tp_page {
    /* The owner's line. */
    struct tp_block *free;
    uint32_t carved; /* blocks that have been on the free list at least once: the first ones of the page */
    uint32_t wake;   /* a free that leaves used - 1 >= wake asks the heap: 0 while full, else only when none is out */
    uint32_t used;
    uint32_t large_face;  /* of a hardened large block: by which function it was made */
    struct tp_page *next; /* in its heap's queue or list of full pages; in a list of free runs */
    struct tp_page *prev;
    struct tp_heap *heap;
    size_t charged; /* bytes this page last added to its tag's estimate of what is live */
    union {
        struct tp_block *sealed; /* hardened free blocks, in place of `free`: linked as seal.h says */
        size_t large_asked;      /* bytes that were asked for, of a large block */
    };

    /* The line that other threads read while a block of the page is live: changes hands, not contents. */
    uint64_t owner __attribute__((aligned(TP_CACHE_LINE))); /* thread id, also while the page is full or mixed */
    char *start;
    uint32_t block_size;
    uint16_t slot; /* TAGPOOL_SEGMENT_NO_SLOT: mixed, see side */
    uint8_t table;
    uint8_t class;
    uint8_t state;         /* enum tp_unit_state */
    uint8_t region;        /* kind of pool: 0 nonpaged, 1 paged */
    uint8_t is_new;        /* no byte of it was touched since the system gave it */
    uint8_t touched_pages; /* of this unit, while it was somebody's before: OS pages that have memory */
    uint32_t capacity;     /* blocks there can be */
    uint32_t units;        /* of the page, the large block, or the free run that begins (or ends) here */
    uint16_t account;      /* quota account of a large block */
    uint8_t watched;       /* a mixed page whose blocks have patterns around them */
    union {
        uint16_t *side;         /* mixed pages: slot of each block, marked where it is free */
        struct tp_watch *watch; /* watched pages */
    };
    union {
        size_t large_size;  /* block bytes of a large block */
        uint16_t *accounts; /* mixed pages: quota account of each block; NULL: none was charged yet */
    };
    union {
        uint64_t freed_ms;           /* when a free run became free */
        struct tp_track *tracks;     /* pages of ordinary blocks; NULL: none was tracked yet */
        struct tp_track large_track; /* large blocks */
    };
};

/* Descriptors are so much larger than rows. */
#define TP_PAGE_ROW_SHIFT 1

_Static_assert(sizeof(struct tp_page) == 128, "two cache lines");
_Static_assert(sizeof(struct tp_page) >> TP_PAGE_ROW_SHIFT == sizeof(struct tagpool_segment_row), "row_bias");
_Static_assert(offsetof(struct tp_page, free) % 16 == 0 && offsetof(struct tp_page, used) % 16 == 0, "P5");
_Static_assert(offsetof(struct tagpool_segment_row, allocs_total) % 16 == 8, "P5");
_Static_assert(offsetof(struct tagpool_segment_row, frees_total) % 16 == 8, "P5");

/* A page without blocks, current wherever there is none: the fast path needs no test for it. */
extern TP_HIDDEN struct tp_page tp_page_none;

TP_INLINE struct tagpool_segment_row *tp_page_row(const struct tp_page *page)
{
    return (struct tagpool_segment_row *)(((uintptr_t)page >> TP_PAGE_ROW_SHIFT) + tp_space.row_bias);
}

TP_INLINE size_t tp_page_unit(const struct tp_page *page)
{
    return (size_t)(page - tp_space.pages);
}

/* The page or large block that holds an address; NULL when nothing is allocated there. */
TP_INLINE struct tp_page *tp_page_at(const void *p)
{
    size_t unit = tp_unit_of(p);
    if (unit >= tp_space.unit_count)
        return NULL;
    uint64_t owner = tp_peek(&tp_space.owners[unit]);
    return owner == TP_OWNER_NONE ? NULL : &tp_space.pages[unit - (owner & TP_OWNER_BACK_MASK)];
}

/* As tp_page_at, and stops there. */
struct tp_page *tp_page_at_or_stop(const void *p);

/* Take a block and count it; NULL when the free list is empty.  Owner only. */
TP_INLINE void *tp_page_pop(struct tp_page *page)
{
    struct tp_block *block = page->free;
    if (TP_UNLIKELY(block == NULL))
        return NULL;
    page->free = block->next;
    page->used++;
    tp_prefetch_for_write(page->free);
    return block;
}

/* Watched pages have their own ways to look. */
TP_INLINE bool tp_page_is_sealed(const struct tp_page *page)
{
    return TP_UNLIKELY(tp_seal_is_on()) && !page->watched;
}

TP_INLINE bool tp_page_has_block(const struct tp_page *page)
{
    return page->free != NULL || page->sealed != NULL;
}

TP_INLINE void tp_page_count_alloc(struct tp_page *page)
{
    if (TP_ACCOUNTS)
        tp_count(&tp_page_row(page)->allocs_total, 1);
}

TP_INLINE void tp_page_count_free(struct tp_page *page)
{
    if (TP_ACCOUNTS)
        tp_count(&tp_page_row(page)->frees_total, 1);
}

TP_INLINE bool tp_page_is_full(const struct tp_page *page)
{
    return page->wake == TP_PAGE_WAKE_FULL;
}

/*
 * Put a block on the free list.  True: the page was full, or the block was the last one out, or `used` was 0 already;
 * tell tp_heap_woken.
 */
TP_INLINE bool tp_page_push(struct tp_page *page, void *p)
{
    struct tp_block *block = p;
    block->next = page->free;
    page->free = block;
    uint32_t used = page->used - 1;
    page->used = used;
    return used - 1 >= page->wake;
}

TP_INLINE void tp_page_seal(struct tp_page *page, void *block)
{
    tp_seal_chain(block, page->sealed);
    page->sealed = block;
}

TP_INLINE bool tp_page_push_sealed(struct tp_page *page, void *block)
{
    tp_page_seal(page, block);
    uint32_t used = page->used - 1;
    page->used = used;
    return used - 1 >= page->wake;
}

/* The list's first blocks become hardened free ones. */
void tp_page_seal_list(struct tp_page *page, struct tp_block *first, uint32_t count);

/* Put a list of blocks back, first to last; as tp_page_push. */
TP_INLINE bool tp_page_push_list(struct tp_page *page, struct tp_block *first, struct tp_block *last, uint32_t count)
{
    uint32_t used = page->used;
    if (tp_page_is_sealed(page)) {
        tp_page_seal_list(page, first, count);
    } else {
        last->next = page->free;
        page->free = first;
    }
    page->used = used - count;
    return used <= count || tp_page_is_full(page);
}

/* Blocks that the next tp_page_extend adds; 0: there are none left. */
uint32_t tp_page_extension(const struct tp_page *page);

/* Add blocks that were never used to the free list, an OS page's worth at most; false when there are none left. */
bool tp_page_extend(struct tp_page *page);

/*
 * The index of the block that begins at p; a stop where none does.  Reads only the line that is stable while a block
 * of the page is live, so any thread may ask.
 */
uint32_t tp_page_index(const struct tp_page *page, const void *p);

/* Blocks of the pool table lie within OS pages, those of the packed table end to end. */
TP_INLINE bool tp_page_is_split(const struct tp_page *page)
{
    return page->table == TP_TABLE_POOL && page->block_size < TP_OS_PAGE;
}

TP_INLINE uint32_t tp_page_divide(const struct tp_page *page, size_t offset)
{
    return (uint32_t)(offset * tp_class_tables[page->table].reciprocal[page->class] >> TP_CLASS_SHIFT);
}

uint32_t tp_page_index_split(const struct tp_page *page, size_t offset);
char *tp_page_block_split(const struct tp_page *page, uint32_t index);

/* The index of the block that an address of the page lies in, in bounds or not. */
TP_INLINE uint32_t tp_page_index_near(const struct tp_page *page, const void *p)
{
    size_t offset = (size_t)((const char *)p - page->start);
    return TP_LIKELY(!tp_page_is_split(page)) ? tp_page_divide(page, offset) : tp_page_index_split(page, offset);
}

/* Where the block of an index begins. */
TP_INLINE char *tp_page_block(const struct tp_page *page, uint32_t index)
{
    return TP_LIKELY(!tp_page_is_split(page)) ? page->start + (size_t)index * page->block_size
                                              : tp_page_block_split(page, index);
}

/* As tp_page_index; false where the other stops. */
TP_INLINE bool tp_page_find(const struct tp_page *page, const void *p, uint32_t *index)
{
    *index = tp_page_index_near(page, p);
    return *index < page->capacity && tp_page_block(page, *index) == p;
}

/* A stop where p was never given out.  Owner only. */
void tp_page_check_carved(const struct tp_page *page, uint32_t index, const void *p);

/* The owner words of all units of a page. */
void tp_page_set_owner(struct tp_page *page, uint64_t owner);

/* Bytes of live blocks, as far as the owner knows. */
TP_INLINE size_t tp_page_live_bytes(const struct tp_page *page)
{
    return (size_t)page->used * page->block_size;
}

TP_INLINE struct tp_watch_who *tp_page_who(const struct tp_page *page, uint32_t index)
{
    return (struct tp_watch_who *)(page->watch + page->capacity) + index;
}

TP_INLINE bool tp_page_is_mixed(const struct tp_page *page)
{
    return page->slot == TAGPOOL_SEGMENT_NO_SLOT;
}

/* Walk P1 and P2; checked builds call it after each slow step. */
void tp_page_check(const struct tp_page *page);

#endif
