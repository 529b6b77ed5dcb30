/*
 * Lookaside lists (include/tagpool/lookaside.h).
 *
 *   magazine   of one thread and list: blocks at hand, found by the list's number in the thread's gate
 *   store      of a list: blocks that any thread may take, up to the list's depth
 *
 *   alloc  <-  magazine  <- half a magazine -  store  <-  pool (a miss)
 *   free    -> magazine  - half a magazine ->  store   -> pool (a free miss)
 *
 * Both hold pointers to blocks, not blocks chained through themselves: so a block keeps its contents, and a call
 * touches no block.
 *
 * K1  Only its thread writes a magazine, but for init and destroy, during which no thread uses the list.
 * K2  A gate names a magazine only while its calls go to the thread's tally.
 * K3  made == blocks that callers hold + blocks in the store + blocks in magazines.
 * K4  A magazine serves allocations under the epoch it was looked at last, as the gate's table does.
 *
 * Lock: TP_LOCK_LOOKASIDE for the register of lists, stores, depths, and the lists of magazines.  Routines of callers
 * and the pool are called without it.
 */
#include <tagpool/lookaside.h>

#include "account.h"
#include "alloc.h"
#include "lock.h"
#include "metadata.h"
#include "pool.h"
#include "start.h"

#include <string.h>

#define MAGAZINE_BLOCKS TAGPOOL_LOOKASIDE_HAND

/* The share of a list's depth that one thread may have at hand. */
#define MAGAZINE_SHARE 4u

/* Time between two looks at all lists, and misses after which one list is looked at sooner. */
#define SCAN_MS 1000u
#define SCAN_MISSES 64u

/* Slow calls between two looks at the clock. */
#define SCAN_CALLS 16u

/* Fewer calls than this between two looks are little demand. */
#define SCAN_FEW 32u

struct tp_magazine {
    struct tagpool_lookaside_hand hand;
    struct tp_lookaside *state; /* NULL: its list has ended */
    struct tp_magazine *next;   /* of the thread's */
    uint32_t flushes;           /* of the list, as this magazine has followed them */
    uint32_t slow_calls;
};

#define TALLY_AT(field) offsetof(struct tagpool_segment_tally, field)
_Static_assert(TALLY_AT(frees_total) - TALLY_AT(allocs_total) == sizeof(uint64_t), "calls");

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

static struct tp_lookaside *lookaside_lists;
static uint64_t lookaside_scanned_ms; /* when all lists were looked at last, and how often */
static uint64_t lookaside_scans;
static uint64_t lookaside_reliefs;

/* --- numbers -------------------------------------------------------------------------------------------------- */

/*
 * 0 is that of lists without.  Two of each eight are not given out: their places in a gate have the low address bits
 * of a tally's counters (8 and 16 modulo 64; see magazine_is_beside).
 */
#define NUMBER_NEVER UINT64_C(0x0606060606060606)
static uint64_t number_taken[TP_GATE_HANDS / 64] = {1};
_Static_assert(offsetof(struct tp_gate, hands) % 64 == 0, "NUMBER_NEVER");

static uint32_t number_take(void)
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

static void number_give(uint32_t number)
{
    tp_lock(TP_LOCK_LOOKASIDE);
    if (number != 0)
        number_taken[number / 64] &= ~(UINT64_C(1) << number % 64);
    tp_unlock(TP_LOCK_LOOKASIDE);
}

/* --- pins ----------------------------------------------------------------------------------------------------- */

/* Who has blocks of a list in hand though it need not be its user. */
static void lookaside_pin(struct tp_lookaside *state)
{
    __atomic_fetch_add(&state->busy, 1, __ATOMIC_RELAXED);
}

static void lookaside_unpin(struct tp_lookaside *state)
{
    if (__atomic_sub_fetch(&state->busy, 1, __ATOMIC_RELEASE) == 0)
        tp_os_futex_wake(&state->busy);
}

/* --- blocks from the pool and back ---------------------------------------------------------------------------- */

static void *lookaside_from_pool(struct tp_lookaside *state, struct tp_thread *thread)
{
    const tagpool_lookaside_options_t *options = &state->options;
    if (options->alloc != NULL)
        return options->alloc(state->list, options->size, options->tag);
    return tp_alloc(thread, state->block_slot, options->size, 16);
}

static void lookaside_to_pool(struct tp_lookaside *state, void *block)
{
    if (state->options.free != NULL)
        state->options.free(state->list, block);
    else
        tp_free_slow(block);
}

static bool lookaside_construct(struct tp_lookaside *state, void *block)
{
    int error = state->options.construct != NULL ? state->options.construct(state->list, block) : 0;
    if (error == 0)
        return true;
    lookaside_to_pool(state, block);
    errno = error;
    return false;
}

static void *lookaside_make(struct tp_lookaside *state, struct tp_thread *thread)
{
    void *block = lookaside_from_pool(state, thread);
    if (block == NULL || !lookaside_construct(state, block))
        return NULL;
    __atomic_fetch_add(&state->made, 1, __ATOMIC_RELAXED);
    __atomic_fetch_add(&state->misses, 1, __ATOMIC_RELAXED);
    return block;
}

static void lookaside_count_returned(const struct tp_lookaside *state, uint32_t count)
{
    __atomic_fetch_add(&tp_segment_slots[state->list->slot].large_free_bytes_total, count * state->options.size,
                       __ATOMIC_RELAXED);
}

static void lookaside_return(struct tp_lookaside *state, void *const *blocks, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (state->options.destruct != NULL)
            state->options.destruct(state->list, blocks[i]);
        lookaside_to_pool(state, blocks[i]);
    }
    __atomic_fetch_sub(&state->made, count, __ATOMIC_RELAXED);
    lookaside_count_returned(state, count);
}

/* --- store ---------------------------------------------------------------------------------------------------- */

static uint32_t store_take(struct tp_lookaside *state, void **blocks, uint32_t most)
{
    if (tp_peek(&state->count) == 0)
        return 0;
    tp_lock(TP_LOCK_LOOKASIDE);
    uint32_t count = (uint32_t)tp_min(state->count, most);
    memcpy(blocks, &state->store[state->count - count], count * sizeof(blocks[0]));
    tp_poke(&state->count, state->count - count);
    tp_unlock(TP_LOCK_LOOKASIDE);
    return count;
}

/* As many of the blocks as there is room for, from the end; how many are left. */
static uint32_t store_put(struct tp_lookaside *state, void *const *blocks, uint32_t count)
{
    if (tp_peek(&state->count) >= tp_peek(&state->depth))
        return count;
    tp_lock(TP_LOCK_LOOKASIDE);
    uint32_t room = state->depth > state->count ? state->depth - state->count : 0;
    uint32_t moved = (uint32_t)tp_min(room, count);
    memcpy(&state->store[state->count], &blocks[count - moved], moved * sizeof(blocks[0]));
    tp_poke(&state->count, state->count + moved);
    tp_unlock(TP_LOCK_LOOKASIDE);
    return count - moved;
}

/* Blocks beyond `keep` leave the store; their number. */
static uint32_t store_cut(struct tp_lookaside *state, uint32_t keep, void **blocks)
{
    uint32_t count = state->count > keep ? state->count - keep : 0;
    memcpy(blocks, &state->store[state->count - count], count * sizeof(blocks[0]));
    tp_poke(&state->count, state->count - count);
    return count;
}

/* --- depth ---------------------------------------------------------------------------------------------------- */

/*
 * Windows' documents say: never below 4 nor above the maximum, more with the share of misses, less when demand falls,
 * one look a second.  The steps are ours: an eighth less where there is little demand, one less where fewer than one
 * call in a thousand misses, else up to half of what is missing to the maximum, by the share of misses.
 */
static uint32_t depth_next(uint32_t depth, uint32_t maximum, uint64_t allocs, uint64_t misses)
{
    const uint32_t least = TAGPOOL_LOOKASIDE_DEPTH_MIN;
    if (allocs < SCAN_FEW)
        return (uint32_t)tp_max(least, depth - tp_max(1, depth / 8));
    if (misses * 1000 < allocs)
        return (uint32_t)tp_max(least, depth - 1);
    return (uint32_t)tp_min(maximum, depth + tp_max(1, (maximum - depth) * misses / (2 * allocs)));
}

static void depth_set(struct tp_lookaside *state, uint32_t depth)
{
    tp_poke(&state->depth, depth);
    tp_segment_slots[state->list->slot].depth = (uint16_t)depth;
}

/* Look at the demand since the last look, and take what is too much out of the store.  Less is for looks in time. */
static uint32_t depth_adjust(struct tp_lookaside *state, bool in_time, void **surplus)
{
    uint64_t allocs = tp_account_sum(state->list->slot).allocs;
    uint64_t misses = tp_peek(&state->misses);
    uint64_t allocs_since = allocs - state->seen_allocs;
    uint64_t misses_since = tp_min(misses - state->seen_misses, allocs_since);
    uint32_t depth = depth_next(state->depth, state->maximum_depth, allocs_since, misses_since);
    if (depth > state->depth || in_time)
        depth_set(state, depth);
    state->seen_allocs = allocs;
    tp_poke(&state->seen_misses, misses);
    return store_cut(state, state->depth, surplus);
}

/* Look at one list.  The lock is held; it is released while blocks go back, and the list stays meanwhile. */
static void depth_scan_list(struct tp_lookaside *state, bool in_time)
{
    void *surplus[TAGPOOL_LOOKASIDE_DEPTH_MAX];
    uint32_t count = depth_adjust(state, in_time, surplus);
    lookaside_pin(state);
    tp_unlock(TP_LOCK_LOOKASIDE);
    lookaside_return(state, surplus, count);
    lookaside_unpin(state);
    tp_lock(TP_LOCK_LOOKASIDE);
}

static struct tp_lookaside *depth_not_scanned(uint64_t scan)
{
    struct tp_lookaside *state = lookaside_lists;
    while (state != NULL && state->scan >= scan)
        state = state->next;
    return state;
}

/* Lists may come and go while the lock is released, so each is marked. */
static void depth_scan_all(uint64_t now)
{
    struct tp_lookaside *state;
    tp_lock(TP_LOCK_LOOKASIDE);
    tp_poke(&lookaside_scanned_ms, now);
    uint64_t scan = ++lookaside_scans;
    while ((state = depth_not_scanned(scan)) != NULL) {
        state->scan = scan;
        depth_scan_list(state, true);
    }
    tp_unlock(TP_LOCK_LOOKASIDE);
}

static void depth_scan_one(struct tp_lookaside *state)
{
    tp_lock(TP_LOCK_LOOKASIDE);
    depth_scan_list(state, false);
    tp_unlock(TP_LOCK_LOOKASIDE);
}

/* There is no thread of ours: slow calls look at the clock. */
static void depth_tick(struct tp_lookaside *state, struct tp_magazine *magazine)
{
    if (tp_peek(&state->misses) - tp_peek(&state->seen_misses) >= SCAN_MISSES)
        depth_scan_one(state);
    if (++magazine->slow_calls % SCAN_CALLS != 0)
        return;
    uint64_t now = tp_os_now_ms();
    if (now - tp_peek(&lookaside_scanned_ms) >= SCAN_MS)
        depth_scan_all(now);
}

/* --- magazines ------------------------------------------------------------------------------------------------ */

_Static_assert(sizeof(struct tp_magazine) > 256 && sizeof(struct tp_magazine) <= 512, "magazine_is_beside");

/* One of the thread's that has this list (in a forked child), or none. */
static struct tp_magazine *magazine_find(struct tp_thread *thread, const struct tp_lookaside *state)
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
    struct tp_magazine *magazine = magazine_find(thread, state);
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

/* All that a magazine holds, in the caller's hands. */
static uint32_t magazine_empty(struct tp_magazine *magazine, void **blocks)
{
    uint32_t count = magazine->hand.count;
    memcpy(blocks, magazine->hand.blocks, count * sizeof(blocks[0]));
    magazine->hand.count = 0;
    return count;
}

/* Blocks that the store has no room for go back to the pool. */
static void magazine_spill(struct tp_magazine *magazine, struct tp_lookaside *state, uint32_t count)
{
    void *blocks[MAGAZINE_BLOCKS];
    magazine->hand.count -= count;
    memcpy(blocks, &magazine->hand.blocks[magazine->hand.count], count * sizeof(blocks[0]));
    lookaside_return(state, blocks, store_put(state, blocks, count));
}

/* Half of a full magazine goes to the store, as far as there is room; the number that went. */
static uint32_t magazine_offer(struct tp_magazine *magazine, struct tp_lookaside *state)
{
    uint32_t offered = (magazine->hand.count + 1) / 2;
    return offered - store_put(state, &magazine->hand.blocks[magazine->hand.count - offered], offered);
}

/* A block of the magazine, which takes half of what it may hold from the store first if it is empty; or NULL. */
static void *magazine_take(struct tp_magazine *magazine, struct tp_lookaside *state)
{
    struct tagpool_lookaside_hand *hand = &magazine->hand;
    if (hand->count == 0)
        hand->count = store_take(state, hand->blocks, (hand->limit + 1) / 2);
    return hand->count > 0 ? hand->blocks[--hand->count] : NULL;
}

static void magazine_follow_flush(struct tp_magazine *magazine, struct tp_lookaside *state)
{
    void *blocks[MAGAZINE_BLOCKS];
    uint32_t flushes = tp_peek(&state->flushes);
    if (TP_LIKELY(magazine->flushes == flushes))
        return;
    magazine->flushes = flushes;
    lookaside_return(state, blocks, magazine_empty(magazine, blocks));
}

/* What a slow call does first: the magazine follows what was switched, flushed or adjusted. */
static struct tp_magazine *magazine_ready(struct tp_thread *thread, struct tp_lookaside *state)
{
    struct tp_magazine *magazine = thread != NULL ? magazine_attach(thread, state) : NULL;
    if (magazine == NULL)
        return NULL;
    magazine->hand.epoch = tp_peek(&tp_segment_control->epoch);
    magazine_follow_flush(magazine, state);
    depth_tick(state, magazine);
    uint32_t limit = (uint32_t)tp_min(tp_peek(&state->depth) / MAGAZINE_SHARE, MAGAZINE_BLOCKS);
    if (magazine->hand.count > limit)
        magazine_spill(magazine, state, magazine->hand.count - limit);
    magazine->hand.limit = limit;
    return magazine;
}

/* --- alloc and free ------------------------------------------------------------------------------------------- */

static struct tp_lookaside *lookaside_state(const tagpool_lookaside_t *list)
{
    if (TP_UNLIKELY(list->state == NULL))
        tp_stop(TP_LOOKASIDE_UNKNOWN, (uintptr_t)list, 0, 0, list, 0);
    return list->state;
}

static void lookaside_count_alloc(struct tp_thread *thread, uint32_t slot, size_t made_bytes)
{
    if (thread != NULL)
        tp_account_alloc(thread, slot, made_bytes);
    else
        tp_account_alloc_direct(slot, made_bytes);
}

static void lookaside_count_free(struct tp_thread *thread, uint32_t slot)
{
    if (thread != NULL)
        tp_account_free(thread, slot, 0);
    else
        tp_account_free_direct(slot, 0);
}

void *tagpool_lookaside_alloc_slow(tagpool_lookaside_t *list)
{
    struct tp_lookaside *state = lookaside_state(list);
    struct tp_thread *thread = tp_thread_self();
    struct tp_magazine *magazine = magazine_ready(thread, state);
    void *block = magazine != NULL ? magazine_take(magazine, state) : NULL;
    if (block != NULL || store_take(state, &block, 1) > 0) {
        lookaside_count_alloc(thread, list->slot, 0);
        return block;
    }
    block = lookaside_make(state, thread);
    if (block != NULL)
        lookaside_count_alloc(thread, list->slot, state->options.size);
    return block;
}

void tagpool_lookaside_free_slow(tagpool_lookaside_t *list, void *block)
{
    if (block == NULL)
        return;
    struct tp_lookaside *state = lookaside_state(list);
    struct tp_thread *thread = tp_thread_self();
    struct tp_magazine *magazine = magazine_ready(thread, state);
    lookaside_count_free(thread, list->slot);
    if (magazine != NULL && magazine->hand.count == magazine->hand.limit)
        magazine->hand.count -= magazine_offer(magazine, state);
    if (magazine != NULL && magazine->hand.count < magazine->hand.limit)
        magazine->hand.blocks[magazine->hand.count++] = block;
    else
        lookaside_return(state, &block, store_put(state, &block, 1));
}

/* --- threads that end, and forked children -------------------------------------------------------------------- */

/* The thread's next magazine, taken off; its blocks in the caller's hands, its list pinned. */
static struct tp_magazine *keeper_take(struct tp_thread *thread, void **blocks, uint32_t *count)
{
    tp_lock(TP_LOCK_LOOKASIDE);
    struct tp_magazine *magazine = thread->magazines;
    if (magazine != NULL) {
        thread->magazines = magazine->next;
        *count = magazine_empty(magazine, blocks);
        if (magazine->state != NULL) {
            thread->gate->hands[magazine->state->list->number] = NULL;
            lookaside_pin(magazine->state);
        }
    }
    tp_unlock(TP_LOCK_LOOKASIDE);
    return magazine;
}

static void keeper_end(struct tp_thread *thread)
{
    void *blocks[MAGAZINE_BLOCKS];
    struct tp_magazine *magazine;
    uint32_t count;
    while ((magazine = keeper_take(thread, blocks, &count)) != NULL) {
        struct tp_lookaside *state = magazine->state;
        tp_metadata_free(magazine, sizeof(*magazine));
        if (state == NULL)
            continue;
        lookaside_return(state, blocks, store_put(state, blocks, count));
        lookaside_unpin(state);
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
    const struct tp_magazine *magazine = self != NULL ? magazine_find(self, state) : NULL;
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
    for (struct tp_lookaside *state = lookaside_lists; state != NULL; state = state->next)
        keeper_inherit(self, state);
}

static struct tp_thread_keeper lookaside_keeper = {.end = keeper_end, .adopt = keeper_adopt};

/* --- flush, statistics, scan ---------------------------------------------------------------------------------- */

void tagpool_lookaside_flush(tagpool_lookaside_t *list)
{
    struct tp_lookaside *state = lookaside_state(list);
    void *blocks[TAGPOOL_LOOKASIDE_DEPTH_MAX];
    struct tp_thread *thread = tp_thread_self();
    tp_lock(TP_LOCK_LOOKASIDE);
    tp_poke(&state->flushes, state->flushes + 1);
    uint32_t count = store_cut(state, 0, blocks);
    tp_unlock(TP_LOCK_LOOKASIDE);
    lookaside_return(state, blocks, count);
    if (thread != NULL && thread->gate->hands[list->number] != NULL)
        magazine_follow_flush((struct tp_magazine *)thread->gate->hands[list->number], state);
}

/* A list of the pool, of the tag or of any, that may have blocks, and stays while it is in hand. */
static struct tp_lookaside *relief_next(uint32_t slot, uint64_t scan)
{
    tp_lock(TP_LOCK_LOOKASIDE);
    struct tp_lookaside *state = lookaside_lists;
    while (state != NULL && (state->relieved >= scan || tp_tags[state->block_slot].region != tp_tags[slot].region))
        state = state->next;
    if (state != NULL) {
        state->relieved = scan;
        lookaside_pin(state);
    }
    tp_unlock(TP_LOCK_LOOKASIDE);
    return state;
}

/* A limit of the slot's, or of its pool, is reached: what lists keep goes back. */
static void relief(uint32_t slot)
{
    struct tp_lookaside *state;
    uint64_t scan = __atomic_add_fetch(&lookaside_reliefs, 1, __ATOMIC_RELAXED);
    while ((state = relief_next(slot, scan)) != NULL) {
        tagpool_lookaside_flush(state->list);
        lookaside_unpin(state);
    }
}

/* Other threads' magazines change under our eyes: then the sum is near. */
static uint64_t lookaside_cached(const struct tp_lookaside *state)
{
    uint64_t cached = tp_peek(&state->count);
    for (uint32_t i = 0; i < tp_thread_count(); i++) {
        const struct tp_magazine *magazine = tp_thread_at(i)->magazines;
        for (; magazine != NULL; magazine = magazine->next)
            if (magazine->state == state)
                cached += tp_peek(&magazine->hand.count);
    }
    return cached;
}

void tagpool_lookaside_stats(const tagpool_lookaside_t *list, tagpool_lookaside_stats_t *stats)
{
    struct tp_lookaside *state = lookaside_state(list);
    tp_thread_self(); /* a forked child has numbers of its own from its first call on */
    struct tp_account_sum sum = tp_account_sum(list->slot);
    tp_lock(TP_LOCK_LOOKASIDE);
    *stats = (tagpool_lookaside_stats_t){
        .total_allocates = sum.allocs,
        .allocate_misses = sum.alloc_bytes / state->options.size,
        .total_frees = sum.frees,
        .free_misses = sum.free_bytes / state->options.size,
        .outstanding = sum.allocs > sum.frees ? sum.allocs - sum.frees : 0,
        .cached = lookaside_cached(state),
        .depth = state->depth,
        .maximum_depth = state->maximum_depth,
    };
    tp_unlock(TP_LOCK_LOOKASIDE);
}

void tagpool_lookaside_scan(void)
{
    if (lookaside_lists == NULL)
        return;
    tp_thread_self();
    depth_scan_all(tp_os_now_ms());
}

/* --- init and destroy ----------------------------------------------------------------------------------------- */

static bool options_are_valid(const tagpool_lookaside_options_t *options)
{
    unsigned maximum = options->maximum_depth;
    bool depth_is_valid =
        maximum == 0 || (maximum >= TAGPOOL_LOOKASIDE_DEPTH_MIN && maximum <= TAGPOOL_LOOKASIDE_DEPTH_MAX);
    bool size_is_valid = options->size > 0 && options->size <= UINT32_MAX;
    if (!depth_is_valid || !size_is_valid || (options->alloc == NULL) != (options->free == NULL)) {
        errno = EINVAL;
        return false;
    }
    return tp_pool_is_valid(options->kind, options->tag);
}

static void lookaside_fill(struct tp_lookaside *state, tagpool_lookaside_t *list,
                           const tagpool_lookaside_options_t *options)
{
    state->list = list;
    state->options = *options;
    state->block_slot = tp_tag_open(options->tag, tp_pool_layout(options->kind));
    state->maximum_depth = options->maximum_depth != 0 ? options->maximum_depth : TAGPOOL_LOOKASIDE_DEPTH_MAX;
    *list = (tagpool_lookaside_t){.slot = list->slot, .state = state, .context = options->context};
    list->number = number_take();
    tp_segment_slots[list->slot].maximum_depth = (uint16_t)state->maximum_depth;
    depth_set(state, TAGPOOL_LOOKASIDE_DEPTH_MIN);
}

static void lookaside_register(struct tp_lookaside *state)
{
    tp_lock(TP_LOCK_LOOKASIDE);
    tp_thread_add_keeper(&lookaside_keeper);
    tp_limit_relief = relief;
    state->scan = lookaside_scans;
    state->next = lookaside_lists;
    lookaside_lists = state;
    tp_unlock(TP_LOCK_LOOKASIDE);
}

int tagpool_lookaside_init(tagpool_lookaside_t *list, const tagpool_lookaside_options_t *options)
{
    if (!options_are_valid(options))
        return -1;
    tp_start_may_publish();
    tp_thread_self();
    struct tp_lookaside *state = tp_metadata_alloc(sizeof(*state));
    list->slot = state != NULL ? tp_tag_take_lookaside(options->tag, tp_pool_layout(options->kind),
                                                       (uint32_t)options->size)
                               : TAGPOOL_SEGMENT_NO_SLOT;
    if (list->slot == TAGPOOL_SEGMENT_NO_SLOT) {
        if (state != NULL)
            tp_metadata_free(state, sizeof(*state));
        errno = ENOMEM;
        return -1;
    }
    lookaside_fill(state, list, options);
    lookaside_register(state);
    return 0;
}

/* Nobody finds the list any more; who has blocks of it in hand gets done with them. */
static void lookaside_unregister(struct tp_lookaside *state)
{
    uint32_t busy;
    tp_lock(TP_LOCK_LOOKASIDE);
    struct tp_lookaside **link = &lookaside_lists;
    while (*link != state)
        link = &(*link)->next;
    *link = state->next;
    tp_unlock(TP_LOCK_LOOKASIDE);
    while ((busy = __atomic_load_n(&state->busy, __ATOMIC_ACQUIRE)) != 0)
        tp_os_futex_wait(&state->busy, busy);
}

/* K1: no thread uses the list.  The magazine stays with its thread, for another list. */
static uint32_t lookaside_detach(struct tp_lookaside *state, struct tp_thread *thread, void **blocks)
{
    tp_lock(TP_LOCK_LOOKASIDE);
    struct tp_magazine *magazine = magazine_find(thread, state);
    uint32_t count = 0;
    if (magazine != NULL) {
        count = magazine_empty(magazine, blocks);
        magazine->state = NULL;
        thread->gate->hands[state->list->number] = NULL;
    }
    tp_unlock(TP_LOCK_LOOKASIDE);
    return count;
}

static void lookaside_detach_all(struct tp_lookaside *state)
{
    void *blocks[MAGAZINE_BLOCKS];
    for (uint32_t i = 0; i < tp_thread_count(); i++) {
        struct tp_thread *thread = tp_thread_at(i);
        lookaside_return(state, blocks, lookaside_detach(state, thread, blocks));
        tp_account_close(thread, state->list->slot);
    }
}

size_t tagpool_lookaside_destroy(tagpool_lookaside_t *list)
{
    struct tp_lookaside *state = lookaside_state(list);
    void *blocks[TAGPOOL_LOOKASIDE_DEPTH_MAX];
    tp_thread_self();
    lookaside_unregister(state);
    lookaside_detach_all(state);
    lookaside_return(state, blocks, store_cut(state, 0, blocks));
    size_t outstanding = state->made;
    number_give(list->number);
    tp_tag_give_lookaside(list->slot);
    tp_metadata_free(state, sizeof(*state));
    *list = (tagpool_lookaside_t){0};
    return outstanding;
}
