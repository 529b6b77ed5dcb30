/*
 * Threads: who owns pages, and the gate through which each call enters.
 *
 *   gate     | id | thread | ... | table of sites: key -> heap, two ways | table of lookaside hands |     wiped by fork
 *   thread   | mail | heaps | tallies ... one entry a slot |                                           ordinary memory
 *
 * The calling thread finds its gate by one thread-local word.  A gate of zeros belongs to no thread: in a forked
 * child every call takes the slow path first and notices there (fork.h).
 *
 * Life of a record: free -> alive -> (ending: pages go to the orphans) -> free.  Calls of a thread that has ended its
 * record, or could not get one, are served by the orphans' record under TP_LOCK_ORPHANS.
 *
 * H1  Only the thread itself writes its gate, its heaps and its pages; others reach it by mail alone.
 * H2  A record is free only when no page names it as owner.
 */
#ifndef TP_THREAD_H
#define TP_THREAD_H

#include "page.h"
#include "segment.h"
#include "tag.h"

#include <tagpool/lookaside.h>

struct tp_heap;

struct tp_site_entry {
    uint64_t key; /* 0: none */
    struct tp_heap *heap;
};

/* The table's size is a constant: where an entry lies must not wait for a load.  Few of its OS pages are touched. */
#define TP_GATE_SETS 1024u
#define TP_GATE_WAYS 2u
#define TP_GATE_SITES (TP_GATE_SETS * TP_GATE_WAYS)

/* A part of the table that is cleared only if something was entered there. */
#define TP_GATE_PART (TP_GATE_SITES / 64u)

/* Lookaside lists that can have blocks at hand at the same time; further ones work without. */
#define TP_GATE_HANDS 1024u

struct tp_gate {
    uint64_t id; /* the thread's id, ~0 for the gate of no thread; 0: a new address space */
    struct tp_thread *thread;
    uint64_t epoch;
    uint64_t parts;                           /* bit i: entries were made in part i of the table */
    uint32_t adoption;                        /* of the first gate alone: see thread_adopt_once */
    struct tp_harden_ring *ring;              /* the thread's, at hand */
    struct tagpool_segment_verifier *figures; /* figures.h; NULL: not looked up yet, or none */
    uint32_t sample_skips;                    /* requests until the next sample (sample.h) */
    uint32_t sample_one_in;                   /* what that was drawn for */
    struct tp_site_entry sites[TP_GATE_SITES] __attribute__((aligned(TP_CACHE_LINE)));
    struct tagpool_lookaside_hand *hands[TP_GATE_HANDS]; /* by a list's number; the first stays NULL (lookaside.c) */
};

_Static_assert(sizeof(struct tp_gate) <= TP_GATE_STRIDE, "a gate fits");

enum tp_thread_state {
    TP_THREAD_FREE,
    TP_THREAD_ALIVE,
    TP_THREAD_ENDING, /* another thread found it gone and ends it */
    TP_THREAD_ORPHANS,
    TP_THREAD_FROZEN, /* a thread of the parent: nobody is there, its pages are never walked */
};

/* What a thread keeps for each slot. */
struct tp_thread_slot {
    struct tp_heap *heap;                /* NULL: cold, its blocks come from mixed pages */
    struct tagpool_segment_tally *tally; /* NULL: none yet */
    uint32_t cold_allocs;
    uint32_t drawn; /* bytes that the slot's meter holds ahead of its watched blocks: tp_ahead_draw */
};

/* Blocks of one page of another thread's, until there are enough to send (mail.h). */
struct tp_parcel {
    struct tp_page *page; /* NULL: not in use */
    struct tp_block *first;
    struct tp_block *last;
    uint32_t count;
};
#define TP_PARCELS 64u

/* Closed parcels for one thread, chained. */
struct tp_bag {
    uint64_t owner;
    struct tp_block *first;
    struct tp_block *last;
};

struct tp_thread {
    uint64_t id;
    struct tp_gate *gate;
    uint32_t index;
    uint32_t kernel_id;
    uint32_t state;
    uint32_t slots_used; /* one past the highest slot with an entry */
    uint32_t refills;
    struct tp_heap *heaps;                      /* all of them, for the end */
    struct tp_heap *mixed[TP_LAYOUT_COUNT * 2]; /* by layout; then watched ones, by layout */
    struct tp_magazine *magazines;              /* all of them, for the end */
    struct tp_harden_ring *ring;                /* hardened blocks that it freed (harden.h) */
    struct tp_watch_quarantine *quarantine;     /* watched blocks that it freed (watch.h) */
    struct tp_quota *quota;                     /* what charged requests of this thread are charged to, or NULL */
    struct tp_parcel parcels[TP_PARCELS];
    struct tp_bag bag;
    size_t waiting; /* bytes in parcels and bag, as M3 counts them */
    struct tp_thread *next_free;
    struct tp_block *mail __attribute__((aligned(TP_CACHE_LINE))); /* written by others */
    struct tp_thread_slot slots[TP_SLOT_COUNT] __attribute__((aligned(TP_CACHE_LINE)));
};

_Static_assert(sizeof(struct tp_thread) <= TP_THREAD_STRIDE, "a record fits");

/* The gate of the calling thread; never NULL. */
extern TP_HIDDEN __thread struct tp_gate *tp_gate_self;

/* Gates of no thread: before the first call, and after the last.  Nothing is ever entered into their tables. */
extern struct tp_gate tp_gate_nobody;
extern struct tp_gate tp_gate_ended;

/* Forget all sites, and when the next sample is, without touching memory that was not touched before. */
void tp_gate_clear(struct tp_gate *gate);

/*
 * The record of the calling thread, made if need be.  NULL when the thread has ended, or when no record is to be had:
 * then the caller works with tp_thread_orphans under TP_LOCK_ORPHANS.
 */
struct tp_thread *tp_thread_self_slow(void);

TP_INLINE struct tp_thread *tp_thread_self(void)
{
    struct tp_thread *thread = tp_gate_self->thread;
    return TP_LIKELY(thread != NULL) ? thread : tp_thread_self_slow();
}

/* The record whose pages nobody owns; never NULL after start. */
extern struct tp_thread *tp_thread_orphans;

/* Record of an id found in a page; NULL for ids that name none. */
struct tp_thread *tp_thread_of(uint64_t id);

/* How many records there are, alive or not; the n-th. */
uint32_t tp_thread_count(void);
struct tp_thread *tp_thread_at(uint32_t index);

/*
 * What stands above the threads and keeps something with them is told: that a thread ends (by itself, or by the thread
 * that found it gone), and that a forked child went on with one (`self` may be NULL) and lost the others.
 */
struct tp_thread_keeper {
    void (*end)(struct tp_thread *thread);
    void (*adopt)(struct tp_thread *self);
    struct tp_thread_keeper *next;
};

/* Once for each keeper; later calls do nothing. */
void tp_thread_add_keeper(struct tp_thread_keeper *keeper);

int tp_thread_init(void);

/* In a forked child: all other threads' records are frozen, the orphans' too unless `consistent`. */
void tp_thread_adopt(bool consistent);

#endif
