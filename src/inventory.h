/*
 * The inventory: all blocks of a process, numbered, from an image of its memory.
 *
 *   number   0 .................. | block_count ............... node_count
 *            blocks of pages      | records of special pool
 *   state[]  a byte each: free, or what a scan has found (mark.h)
 *
 * A block is free where its page says so: by the side array of a mixed page; by the list of a page of one tag, and by
 * the mail of threads, which it is on its way in, or a ring of theirs.  Lists are followed in the image, where nobody
 * changes them.
 *
 * R1  No address is taken from the image without a check, and each loop ends, whatever stands there.
 * R2  What cannot be read is not there: blocks that nobody knows of are neither free nor live.
 */
#ifndef TP_INVENTORY_H
#define TP_INVENTORY_H

#include "chart.h"
#include "image.h"

/* Bits of a block's state. */
enum tp_block_state {
    TP_BLOCK_FREE = 1u << 0,
    TP_BLOCK_REACHED = 1u << 1, /* as the next two, of mark.h */
    TP_BLOCK_POSSIBLY = 1u << 2,
    TP_BLOCK_PENDING = 1u << 3,
    TP_BLOCK_OF_SCOPE = 1u << 4, /* as TP_SCOPE_OFFSET says, and the next one */
    TP_BLOCK_OF_LOADER = 1u << 5,
};

/*
 * Blocks whose owners keep a pointer that leads a little behind the beginning, and count as kept by it: what a scope is
 * made of (scope.c), and the loader's tables of a thread's thread-local storage.
 */
#define TP_SCOPE_OFFSET 48u
#define TP_LOADER_OFFSET 16u

/* Of each unit in use; all but the first of a page hold `back` alone. */
struct tp_inventory_page {
    uint64_t first; /* number of its first block */
    uintptr_t start;
    uintptr_t list;   /* the first free block of a page of one tag; the side array of a mixed one */
    uintptr_t watch;  /* 0: not watched */
    uintptr_t tracks; /* 0: none */
    struct tp_track large_track;
    size_t size;       /* of a block */
    uint32_t capacity; /* blocks there can be */
    uint32_t count;    /* blocks that were given out ever; 0: there is no page */
    uint32_t back;     /* units to the first of the page */
    uint16_t each;     /* blocks of an OS page, where none straddles two; else 0 */
    uint16_t slot;     /* TAGPOOL_SEGMENT_NO_SLOT: mixed */
    uint8_t is_large;
    uint8_t is_unsure; /* its list is not kept: a thread of the parent's had it */
};

struct tp_inventory_region {
    size_t first; /* unit */
    size_t count;
    struct tp_inventory_page *pages;
};

struct tp_inventory {
    struct tp_image *image;
    struct tp_chart chart;
    struct tp_space space;
    struct tp_area areas[TP_AREA_COUNT];
    struct tp_special_area special;
    struct tagpool_segment_header segment;
    struct tp_seal_secrets seal;
    bool is_shared; /* pool memory is a file's */
    struct tp_inventory_region regions[TAGPOOL_SEGMENT_REGIONS];
    uint32_t *map; /* as in the area, as far as it is in use */
    struct tp_special *records;
    uint64_t block_count;
    uint64_t node_count;
    uint8_t *state;
    uint8_t *slot_states; /* what all blocks of a slot have in their state */
    uint16_t *turns;      /* as tp_track_turns */
    uint8_t *frozen;      /* by index of a thread: whether its lists are not kept */
    size_t thread_count;
    struct tp_inventory_desk *desk; /* room to read into */
};

/* A block that an address leads to. */
struct tp_inventory_node {
    uint64_t number;
    uintptr_t at;
    size_t size;
    const struct tp_inventory_page *page; /* NULL: of special pool */
    uint32_t index;                       /* in its page */
    bool is_start;                        /* the address was the block's own */
};

/* What the tables of a page say of a block. */
struct tp_inventory_details {
    uint32_t slot;
    size_t size; /* as requested; of ordinary blocks that are not hardened, block bytes */
    uint32_t stack;
    uint8_t life;   /* as struct tp_watch; 0: not known */
    bool is_unsure; /* whether it lives */
};

/* The chart that lies at an address; 0, or -EPROTO: there is none, or one of another version. */
int tp_inventory_read_chart(struct tp_image *image, uintptr_t at, struct tp_chart *chart);

/* Make it from a chart that lies at an address.  0; -EPROTO: no chart, or of another version; -EIO; -ENOMEM. */
int tp_inventory_make(struct tp_inventory *inventory, struct tp_image *image, uintptr_t chart);

/* Whether a word can lead to a block at all. */
static inline bool tp_inventory_may_have(const struct tp_inventory *inventory, uintptr_t word)
{
    return word - inventory->space.base < inventory->space.unit_count << TP_UNIT_SHIFT ||
           word - inventory->special.base < inventory->special.used;
}

/* The block, free or live, that an address lies in, or just behind the requested end of. */
bool tp_inventory_find(const struct tp_inventory *inventory, uintptr_t address, struct tp_inventory_node *node);

/* The pages of blocks, one after the other; begin with NULL. */
const struct tp_inventory_page *tp_inventory_next(const struct tp_inventory *inventory,
                                                  const struct tp_inventory_page *page);

/* Call each(node, argument) for all blocks that are not free. */
void tp_inventory_each(const struct tp_inventory *inventory,
                       void (*each)(const struct tp_inventory_node *node, void *argument), void *argument);

/* Fast for nodes in their order; false: it cannot be read. */
bool tp_inventory_describe(struct tp_inventory *inventory, const struct tp_inventory_node *node,
                           struct tp_inventory_details *details);

/* A record of a thread, but for its slots, until the next is asked for; NULL: it cannot be read. */
const struct tp_thread *tp_inventory_thread(const struct tp_inventory *inventory, size_t index);

#endif
