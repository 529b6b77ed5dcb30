/*
 * Magazines: blocks of a lookaside list that a thread has at hand, found by the list's number in the thread's gate.
 *
 * K1  Only its thread writes a magazine, but for init and destroy, during which no thread uses the list.
 * K2  A gate names a magazine only while its calls go to the thread's tally.
 * K4  A magazine serves allocations under the epoch it was looked at last, as the gate's table does.
 *
 * Lock: TP_LOCK_LOOKASIDE for numbers and the lists of magazines.
 */
#ifndef TP_MAGAZINE_H
#define TP_MAGAZINE_H

#include "store.h"

#define TP_MAGAZINE_BLOCKS TAGPOOL_LOOKASIDE_HAND

struct tp_magazine {
    struct tagpool_lookaside_hand hand;
    struct tp_lookaside *state; /* NULL: its list has ended */
    struct tp_magazine *next;   /* of the thread's */
    uint32_t flushes;           /* of the list, as this magazine has followed them */
    uint32_t slow_calls;
};

/* A place in the gates' tables; 0: there is none, and the list works without magazines. */
uint32_t tp_magazine_take_number(void);
void tp_magazine_give_number(uint32_t number);

/* The thread's magazine of a list, as a slow call needs it; NULL: the list is served without. */
struct tp_magazine *tp_magazine_ready(struct tp_thread *thread, struct tp_lookaside *state);

/* One of the thread's that has this list, or NULL. */
struct tp_magazine *tp_magazine_find(struct tp_thread *thread, const struct tp_lookaside *state);

/* All that a magazine holds, in the caller's hands. */
uint32_t tp_magazine_empty(struct tp_magazine *magazine, void **blocks);

/* Half of a full magazine goes to the store, as far as there is room; the number that went. */
uint32_t tp_magazine_offer(struct tp_magazine *magazine, struct tp_lookaside *state);

/* A block of the magazine, which takes half of what it may hold from the store first if it is empty; or NULL. */
void *tp_magazine_take(struct tp_magazine *magazine, struct tp_lookaside *state);

/* The list was flushed: what is at hand goes back as well. */
void tp_magazine_follow_flush(struct tp_magazine *magazine, struct tp_lookaside *state);

/* Threads that end, and forked children. */
extern struct tp_thread_keeper tp_magazine_keeper;

#endif
