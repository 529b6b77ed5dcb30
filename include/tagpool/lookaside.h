/*
 * Lookaside lists: blocks of one size, tag and kind that are kept for the next call instead of going back to the pool.
 *
 * Each thread keeps some blocks at hand, so that a call that finds one takes no lock; behind them lies a store that all
 * threads share, and behind that the pool.  What a list keeps stays allocated under its tag, as on Windows.
 *
 * A list is safe for use by many threads, and a block may be freed by another thread than the one that allocated it.
 * init and destroy are not: no other thread may use the list meanwhile.  Nothing here is async-signal-safe.  In a child
 * made by fork the list goes on, with the blocks that the forking thread and the shared store had; what other threads
 * had at hand is lost to it.
 *
 * Names, numbers and rules follow the WDK's ExInitializeLookasideListEx and kin and GENERAL_LOOKASIDE, but for this: a
 * block's contents survive in the list, also its first bytes.
 */
#ifndef TAGPOOL_LOOKASIDE_H
#define TAGPOOL_LOOKASIDE_H

#include <tagpool/tagpool.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Blocks that the shared store may keep: where a list begins, and the highest limit it may have. */
#define TAGPOOL_LOOKASIDE_DEPTH_MIN 4u
#define TAGPOOL_LOOKASIDE_DEPTH_MAX 256u

/* Lies wherever the program wants, also within another structure; the fields are private. */
typedef struct tagpool_lookaside {
    uint32_t number;
    uint32_t slot;
    struct tp_lookaside *state;
    void *context;
} tagpool_lookaside_t;

/*
 * What a list is made of.  Zeros are right for all but tag and size.
 *
 * The routines run for misses alone, in the thread that missed (free and destruct also where a thread ends, a list
 * gives back surplus, or an allocation has met a limit of its tag or pool), without a lock, so several threads may be
 * in one at once.  All get the list: a structure around it, or tagpool_lookaside_context(), leads to the caller's own
 * data.
 */
typedef struct tagpool_lookaside_options {
    tagpool_kind_t kind; /* TAGPOOL_NONPAGED is 0 */
    tagpool_tag_t tag;
    size_t size;            /* bytes of a block, 1 to 2^32 - 1 */
    unsigned maximum_depth; /* 4 to 256; 0: 256 */
    void *context;

    /* In place of tagpool_alloc and tagpool_free; both or none.  alloc returns NULL, with errno set, when it fails. */
    void *(*alloc)(tagpool_lookaside_t *list, size_t size, tagpool_tag_t tag);
    void (*free)(tagpool_lookaside_t *list, void *block);

    /*
     * Once in the life of a block: when it comes from the pool, and when it goes back there.  In between it keeps the
     * state that it was freed in.  construct returns 0, or a nonzero errno; then the allocation fails with that.
     */
    int (*construct)(tagpool_lookaside_t *list, void *block);
    void (*destruct)(tagpool_lookaside_t *list, void *block);
} tagpool_lookaside_options_t;

/* Numbers of a list since init.  Exact when no other thread uses it meanwhile. */
typedef struct tagpool_lookaside_stats {
    uint64_t total_allocates; /* blocks handed out */
    uint64_t allocate_misses; /* of these, from the pool: the list had none */
    uint64_t total_frees;
    uint64_t free_misses; /* blocks that went back to the pool: no room, surplus, flushed */
    uint64_t outstanding; /* blocks that callers hold */
    uint64_t cached;      /* blocks that the list holds */
    unsigned depth;       /* blocks that the shared store may hold now */
    unsigned maximum_depth;
} tagpool_lookaside_stats_t;

/*
 * Make a list.  Returns 0, or -1 with errno EINVAL (kind, tag, size 0, maximum_depth out of range, alloc without free)
 * or ENOMEM.  Behaviour: ExInitializeLookasideListEx.
 */
TAGPOOL_API int tagpool_lookaside_init(tagpool_lookaside_t *list, const tagpool_lookaside_options_t *options);

/*
 * What a thread has of a list at hand.  Private, and here so that the two functions below need no call; their layout is
 * part of the library's ABI.  A thread's table of hands reads as NULL before its first call and in a forked child.
 */
#define TAGPOOL_LOOKASIDE_HAND 32u
struct tagpool_lookaside_hand {
    uint32_t count;
    uint32_t limit;
    uint64_t epoch; /* of the last look: another one means that something was switched */
    const volatile uint64_t *current_epoch;
    uint64_t *calls; /* allocs, frees: read by other processes */
    void *blocks[TAGPOOL_LOOKASIDE_HAND];
};
TAGPOOL_API extern __thread struct tagpool_lookaside_hand **tagpool_lookaside_hands;

/* One more, in one step for who reads it meanwhile. */
static __inline void tagpool_lookaside_count(uint64_t *calls)
{
#if defined(__x86_64__)
    __asm__ volatile("addq $1, %0" : "+m"(*calls));
#else
    __atomic_store_n(calls, __atomic_load_n(calls, __ATOMIC_RELAXED) + 1, __ATOMIC_RELEASE);
#endif
}

/* The same as the functions below, with a call: for what finds nothing at hand, and for other languages. */
TAGPOOL_API void *tagpool_lookaside_alloc_slow(tagpool_lookaside_t *list);
TAGPOOL_API void tagpool_lookaside_free_slow(tagpool_lookaside_t *list, void *block);

/*
 * A block of the list's size, aligned as by tagpool_alloc, contents as it was freed or constructed, else undefined.
 * NULL with errno as tagpool_alloc, or the list's routines, set it.  Behaviour: ExAllocateFromLookasideListEx.
 */
static __inline void *tagpool_lookaside_alloc(tagpool_lookaside_t *list)
{
    struct tagpool_lookaside_hand *hand = tagpool_lookaside_hands[list->number];
    if (__builtin_expect(hand == NULL || hand->count == 0 || hand->epoch != *hand->current_epoch, 0))
        return tagpool_lookaside_alloc_slow(list);
    uint32_t count = hand->count - 1;
    hand->count = count;
    tagpool_lookaside_count(&hand->calls[0]);
    return hand->blocks[count];
}

/*
 * Give a block back to the list it came from.  NULL does nothing.  Keeps errno, unless a routine of the list's changes
 * it.  Behaviour: ExFreeToLookasideListEx.
 */
static __inline void tagpool_lookaside_free(tagpool_lookaside_t *list, void *block)
{
    struct tagpool_lookaside_hand *hand = tagpool_lookaside_hands[list->number];
    if (__builtin_expect(hand == NULL || block == NULL || hand->count >= hand->limit, 0)) {
        tagpool_lookaside_free_slow(list, block);
        return;
    }
    uint32_t count = hand->count;
    hand->blocks[count] = block;
    hand->count = count + 1;
    tagpool_lookaside_count(&hand->calls[1]);
}

/*
 * Give what the list keeps back to the pool; it stays usable.  What other threads have at hand follows at the next call
 * of each that has to look beyond it.  Behaviour: ExFlushLookasideListEx.
 */
TAGPOOL_API void tagpool_lookaside_flush(tagpool_lookaside_t *list);

/*
 * End a list: all that it keeps goes back to the pool.  Returns the number of blocks that callers still hold; these are
 * theirs, to be freed as the list's free routine would.  Behaviour: ExDeleteLookasideListEx.
 */
TAGPOOL_API size_t tagpool_lookaside_destroy(tagpool_lookaside_t *list);

/* The context given to init. */
static __inline void *tagpool_lookaside_context(const tagpool_lookaside_t *list)
{
    return list->context;
}

TAGPOOL_API void tagpool_lookaside_stats(const tagpool_lookaside_t *list, tagpool_lookaside_stats_t *stats);

/*
 * Look at the demand on each list since the last look and set its depth; surplus goes back to the pool.  Calls that
 * miss do it by themselves once a second, and sooner for a list with many misses; a program that falls idle may.
 */
TAGPOOL_API void tagpool_lookaside_scan(void);

#ifdef __cplusplus
}
#endif

#endif
