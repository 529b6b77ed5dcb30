/*
 * What a lookaside list is made of, and the blocks that it keeps for all threads.
 *
 * A store holds pointers to blocks, not blocks chained through themselves: so a block keeps its contents.
 *
 * K3  made == blocks that callers hold + blocks in the store + blocks in magazines.
 *
 * Lock: TP_LOCK_LOOKASIDE for the lists, their stores and depths.  Routines of callers and the pool are called without
 * it.
 */
#ifndef TP_STORE_H
#define TP_STORE_H

#include "site.h"

#include <tagpool/lookaside.h>

struct tp_lookaside {
    tagpool_lookaside_t *list;
    tagpool_lookaside_options_t options;
    uint32_t block_slot; /* of the tag: where blocks are counted */
    uint32_t depth;
    uint32_t maximum_depth;
    uint32_t flushes;
    uint64_t made;        /* K3 */
    uint64_t misses;      /* allocations that the list could not serve */
    uint64_t seen_misses; /* at the last look, as the next */
    uint64_t seen_allocs;
    uint64_t scan; /* the last look at all lists that came by here */
    uint64_t relieved; /* the last relief */
    uint32_t busy; /* threads that hold blocks of it though they need not be its users: destroy waits */
    struct tp_lookaside *next;
    uint32_t count;
    void *store[TAGPOOL_LOOKASIDE_DEPTH_MAX];
};

/* All lists there are. */
extern struct tp_lookaside *tp_store_lists;

/* Who has blocks of a list in hand though it need not be its user: destroy waits for them. */
void tp_store_pin(struct tp_lookaside *state);
void tp_store_unpin(struct tp_lookaside *state);

/* A block from the pool for a caller, constructed; NULL with errno. */
void *tp_store_make(struct tp_lookaside *state, struct tp_thread *thread, struct tp_call call);

/* Destruct blocks and give them back to the pool. */
void tp_store_return(struct tp_lookaside *state, void *const *blocks, uint32_t count);

/* Blocks of the store, `most` at most; their number. */
uint32_t tp_store_take(struct tp_lookaside *state, void **blocks, uint32_t most);

/* As many of the blocks as there is room for, from the end; how many are left. */
uint32_t tp_store_put(struct tp_lookaside *state, void *const *blocks, uint32_t count);

/* Blocks beyond `keep` leave the store; their number.  The lock is held. */
uint32_t tp_store_cut(struct tp_lookaside *state, uint32_t keep, void **blocks);

#endif
