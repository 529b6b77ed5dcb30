#include "magazine.h"
#include "account.h"
#include "depth.h"
#include "lock.h"
#include "metadata.h"

#include <string.h>

/* The share of a list's depth that one thread may have at hand. */
#define MAGAZINE_SHARE 4u

#define TALLY_AT(field) offsetof(struct tagpool_segment_tally, field)
_Static_assert(TALLY_AT(frees_total) - TALLY_AT(allocs_total) == sizeof(uint64_t), "calls");

/* --- numbers -------------------------------------------------------------------------------------------------- */

/*
 * 0 is that of lists without.  Two of each eight are not given out: their places in a gate have the low address bits
 * of a tally's counters (8 and 16 modulo 64; see magazine_is_beside).
 */
#define NUMBER_NEVER UINT64_C(0x0606060606060606)
static uint64_t number_taken[TP_GATE_HANDS / 64] = {1};
_Static_assert(offsetof(struct tp_gate, hands) % 64 == 0, "NUMBER_NEVER");

uint32_t tp_magazine_take_number(void)
{
    uint32_t number = 0;
    tp_lock(TP_LOCK_LOOKASIDE);
    for (uint32_t i = 0; i < TP_GATE_HANDS / 64 && number == 0; i++)
        if (~(number_taken[i] | NUMBER_NEVER) != 0)
            number = i * 64 + (uint32_t)__builtin_ctzll(~(number_taken[i] | NUMBER_NEVER));
    number_taken[number / 64] |= UINT64_C(1) << number % 64;
    tp_unlock(TP_LOCK_LOOKASIDE);
    return number;
}

void tp_magazine_give_number(uint32_t number)
{
    tp_lock(TP_LOCK_LOOKASIDE);
    if (number != 0)
        number_taken[number / 64] &= ~(UINT64_C(1) << number % 64);
    tp_unlock(TP_LOCK_LOOKASIDE);
}

/* --- magazines ------------------------------------------------------------------------------------------------ */

_Static_assert(sizeof(struct tp_magazine) > 256 && sizeof(struct tp_magazine) <= 512, "magazine_is_beside");

/* One of the thread's that has this list (in a forked child), or none. */
struct tp_magazine *tp_magazine_find(struct tp_thread *thread, const struct tp_lookaside *state)
{
    struct tp_magazine *magazine = thread->magazines;
    while (magazine != NULL && magazine->state != state)
        magazine = magazine->next;
    return magazine;
}

static struct tp_magazine *magazine_create(struct tp_thread *thread)
{
    struct tp_magazine *magazine = tp_metadata_alloc(sizeof(*magazine));
    if (magazine == NULL)
        return NULL;
    tp_lock(TP_LOCK_LOOKASIDE);
    magazine->next = thread->magazines;
    thread->magazines = magazine;
    tp_unlock(TP_LOCK_LOOKASIDE);
    return magazine;
}

/*
 * A load waits for a store before it whose address has the same low 12 bits: a pair of calls took five times as long
 * (see segment.h).  So a magazine keeps apart from what the same calls touch: tally, place in the gate, epoch.  It is
 * 512 bytes long and aligned, as metadata gives them.
 */
static bool magazine_is_beside(const struct tp_magazine *magazine, const volatile void *touched)
{
    return (((uintptr_t)magazine ^ (uintptr_t)touched) & (TP_OS_PAGE - 1) & ~(uintptr_t)511) == 0;
}

static bool magazine_is_apart(const struct tp_magazine *magazine, const void *tally, const void *place)
{
    return !magazine_is_beside(magazine, tally) && !magazine_is_beside(magazine, place) &&
           !magazine_is_beside(magazine, &tp_segment_control->epoch);
}

/* One without a list.  What is made in vain waits for another list; of eight places five will do. */
static struct tp_magazine *magazine_spare(struct tp_thread *thread, const void *tally, const void *place)
{
    struct tp_magazine *magazine = thread->magazines;
    while (magazine != NULL && (magazine->state != NULL || !magazine_is_apart(magazine, tally, place)))
        magazine = magazine->next;
    for (int i = 0; i < 4 && (magazine == NULL || !magazine_is_apart(magazine, tally, place)); i++)
        magazine = magazine_create(thread);
    return magazine;
}

static struct tp_magazine *magazine_for(struct tp_thread *thread, struct tp_lookaside *state, const void *tally,
                                        const void *place)
{
    struct tp_magazine *magazine = tp_magazine_find(thread, state);
    if (magazine == NULL)
        magazine = magazine_spare(thread, tally, place);
    if (magazine != NULL)
        magazine->state = state;
    return magazine;
}

/* The thread's magazine of a list, made if need be; NULL: there is no memory for it, or the list has no number. */
static struct tp_magazine *magazine_attach(struct tp_thread *thread, struct tp_lookaside *state)
{
    struct tagpool_lookaside_hand **place = &thread->gate->hands[state->list->number];
    if (TP_LIKELY(*place != NULL))
        return (struct tp_magazine *)*place;
    if (place == thread->gate->hands)
        return NULL;
    struct tagpool_segment_tally *tally = tp_account_tally(thread, state->list->slot);
    struct tp_magazine *magazine = tally != NULL ? magazine_for(thread, state, tally, place) : NULL;
    if (magazine == NULL)
        return NULL;
    if (magazine->hand.count == 0)
        magazine->flushes = tp_peek(&state->flushes);
    magazine->hand.calls = &tally->allocs_total;
    magazine->hand.current_epoch = &tp_segment_control->epoch;
    *place = &magazine->hand;
    return magazine;
}

uint32_t tp_magazine_empty(struct tp_magazine *magazine, void **blocks)
{
    uint32_t count = magazine->hand.count;
    memcpy(blocks, magazine->hand.blocks, count * sizeof(blocks[0]));
    magazine->hand.count = 0;
    return count;
}

/* Blocks that the store has no room for go back to the pool. */
static void magazine_spill(struct tp_magazine *magazine, struct tp_lookaside *state, uint32_t count)
{
    void *blocks[TP_MAGAZINE_BLOCKS];
    magazine->hand.count -= count;
    memcpy(blocks, &magazine->hand.blocks[magazine->hand.count], count * sizeof(blocks[0]));
    tp_store_return(state, blocks, tp_store_put(state, blocks, count));
}

uint32_t tp_magazine_offer(struct tp_magazine *magazine, struct tp_lookaside *state)
{
    uint32_t offered = (magazine->hand.count + 1) / 2;
    return offered - tp_store_put(state, &magazine->hand.blocks[magazine->hand.count - offered], offered);
}

void *tp_magazine_take(struct tp_magazine *magazine, struct tp_lookaside *state)
{
    struct tagpool_lookaside_hand *hand = &magazine->hand;
    if (hand->count == 0)
        hand->count = tp_store_take(state, hand->blocks, (hand->limit + 1) / 2);
    return hand->count > 0 ? hand->blocks[--hand->count] : NULL;
}

void tp_magazine_follow_flush(struct tp_magazine *magazine, struct tp_lookaside *state)
{
    void *blocks[TP_MAGAZINE_BLOCKS];
    uint32_t flushes = tp_peek(&state->flushes);
    if (TP_LIKELY(magazine->flushes == flushes))
        return;
    magazine->flushes = flushes;
    tp_store_return(state, blocks, tp_magazine_empty(magazine, blocks));
}

/* What a slow call does first: the magazine follows what was switched, flushed or adjusted. */
struct tp_magazine *tp_magazine_ready(struct tp_thread *thread, struct tp_lookaside *state)
{
    struct tp_magazine *magazine = thread != NULL ? magazine_attach(thread, state) : NULL;
    if (magazine == NULL)
        return NULL;
    magazine->hand.epoch = tp_peek(&tp_segment_control->epoch);
    tp_magazine_follow_flush(magazine, state);
    tp_depth_tick(state, ++magazine->slow_calls);
    /* What the verifier is to see is not kept from it. */
    uint32_t limit = tp_tag_is_concerned(state->block_slot)
                         ? 0
                         : (uint32_t)tp_min(tp_peek(&state->depth) / MAGAZINE_SHARE, TP_MAGAZINE_BLOCKS);
    if (magazine->hand.count > limit)
        magazine_spill(magazine, state, magazine->hand.count - limit);
    magazine->hand.limit = limit;
    return magazine;
}

/* --- threads that end, and forked children -------------------------------------------------------------------- */

/* The thread's next magazine, taken off; its blocks in the caller's hands, its list pinned. */
static struct tp_magazine *keeper_take(struct tp_thread *thread, void **blocks, uint32_t *count)
{
    tp_lock(TP_LOCK_LOOKASIDE);
    struct tp_magazine *magazine = thread->magazines;
    if (magazine != NULL) {
        thread->magazines = magazine->next;
        *count = tp_magazine_empty(magazine, blocks);
        if (magazine->state != NULL) {
            thread->gate->hands[magazine->state->list->number] = NULL;
            tp_store_pin(magazine->state);
        }
    }
    tp_unlock(TP_LOCK_LOOKASIDE);
    return magazine;
}

static void keeper_end(struct tp_thread *thread)
{
    void *blocks[TP_MAGAZINE_BLOCKS];
    struct tp_magazine *magazine;
    uint32_t count;
    while ((magazine = keeper_take(thread, blocks, &count)) != NULL) {
        struct tp_lookaside *state = magazine->state;
        tp_metadata_free(magazine, sizeof(*magazine));
        if (state == NULL)
            continue;
        tp_store_return(state, blocks, tp_store_put(state, blocks, count));
        tp_store_unpin(state);
    }
}

/* What other threads had at hand stays where it is: nobody in this process will come for it. */
static void keeper_lose(struct tp_thread *thread)
{
    for (struct tp_magazine *magazine = thread->magazines; magazine != NULL; magazine = magazine->next)
        if (magazine->state != NULL)
            magazine->state->made -= magazine->hand.count;
    thread->magazines = NULL;
}

/* K2: the tallies were the parent's, and the gate is wiped.  Slow calls attach the magazine anew. */
static uint64_t keeper_keep(struct tp_thread *self, const struct tp_lookaside *state)
{
    const struct tp_magazine *magazine = self != NULL ? tp_magazine_find(self, state) : NULL;
    return magazine != NULL ? magazine->hand.count : 0;
}

/* A child's numbers start with what is out. */
static void keeper_inherit(struct tp_thread *self, struct tp_lookaside *state)
{
    struct tagpool_segment_slot *shared = &tp_segment_slots[state->list->slot];
    uint64_t cached = state->count + keeper_keep(self, state);
    state->busy = 0;
    shared->allocs_total = state->made - cached;
    shared->alloc_bytes_total = state->made * state->options.size;
    state->seen_allocs = shared->allocs_total;
    state->seen_misses = state->misses;
}

static void keeper_adopt(struct tp_thread *self)
{
    for (uint32_t i = 0; i < tp_thread_count(); i++)
        if (tp_thread_at(i) != self)
            keeper_lose(tp_thread_at(i));
    for (struct tp_lookaside *state = tp_store_lists; state != NULL; state = state->next)
        keeper_inherit(self, state);
}

struct tp_thread_keeper tp_magazine_keeper = {.end = keeper_end, .adopt = keeper_adopt};
