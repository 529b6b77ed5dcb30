/*
 * Lookaside lists (include/tagpool/lookaside.h).
 *
 *   magazine   of one thread and list: blocks at hand                         magazine.h
 *   store      of a list: blocks that any thread may take, up to its depth    store.h, depth.h
 *
 *   alloc  <-  magazine  <- half a magazine -  store  <-  pool (a miss)
 *   free    -> magazine  - half a magazine ->  store   -> pool (a free miss)
 *
 * A call that finds something at hand stands in the public header; here is what is slow.
 */
#include <tagpool/lookaside.h>

#include "account.h"
#include "depth.h"
#include "fast.h"
#include "limit.h"
#include "lock.h"
#include "magazine.h"
#include "metadata.h"
#include "pool.h"
#include "start.h"

#include <string.h>

static uint64_t lookaside_reliefs;

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
    struct tp_magazine *magazine = tp_magazine_ready(thread, state);
    void *block = magazine != NULL ? tp_magazine_take(magazine, state) : NULL;
    if (block != NULL || tp_store_take(state, &block, 1) > 0) {
        lookaside_count_alloc(thread, list->slot, 0);
        return block;
    }
    block = tp_store_make(state, thread, TP_CALL_HERE());
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
    struct tp_magazine *magazine = tp_magazine_ready(thread, state);
    lookaside_count_free(thread, list->slot);
    if (magazine != NULL && magazine->hand.count == magazine->hand.limit)
        magazine->hand.count -= tp_magazine_offer(magazine, state);
    if (magazine != NULL && magazine->hand.count < magazine->hand.limit)
        magazine->hand.blocks[magazine->hand.count++] = block;
    else
        tp_store_return(state, &block, tp_store_put(state, &block, 1));
}

/* --- flush, statistics, scan ---------------------------------------------------------------------------------- */

void tagpool_lookaside_flush(tagpool_lookaside_t *list)
{
    struct tp_lookaside *state = lookaside_state(list);
    void *blocks[TAGPOOL_LOOKASIDE_DEPTH_MAX];
    struct tp_thread *thread = tp_thread_self();
    tp_lock(TP_LOCK_LOOKASIDE);
    tp_poke(&state->flushes, state->flushes + 1);
    uint32_t count = tp_store_cut(state, 0, blocks);
    tp_unlock(TP_LOCK_LOOKASIDE);
    tp_store_return(state, blocks, count);
    if (thread != NULL && thread->gate->hands[list->number] != NULL)
        tp_magazine_follow_flush((struct tp_magazine *)thread->gate->hands[list->number], state);
}

static bool relief_is_for(const struct tp_lookaside *state, uint32_t slot, bool whole_pool)
{
    return whole_pool ? tp_tags[state->block_slot].region == tp_tags[slot].region : state->block_slot == slot;
}

/* A list whose blocks count for the tag, or the pool, and that was not flushed yet.  It stays while it is in hand. */
static struct tp_lookaside *relief_next(uint32_t slot, bool whole_pool, uint64_t scan)
{
    tp_lock(TP_LOCK_LOOKASIDE);
    struct tp_lookaside *state = tp_store_lists;
    while (state != NULL && (state->relieved >= scan || !relief_is_for(state, slot, whole_pool)))
        state = state->next;
    if (state != NULL) {
        state->relieved = scan;
        tp_store_pin(state);
    }
    tp_unlock(TP_LOCK_LOOKASIDE);
    return state;
}

/* A limit is reached: what lists keep goes back. */
static void relief(uint32_t slot, bool whole_pool)
{
    struct tp_lookaside *state;
    uint64_t scan = __atomic_add_fetch(&lookaside_reliefs, 1, __ATOMIC_RELAXED);
    while ((state = relief_next(slot, whole_pool, scan)) != NULL) {
        tagpool_lookaside_flush(state->list);
        tp_store_unpin(state);
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
    if (tp_store_lists == NULL)
        return;
    tp_thread_self();
    tp_depth_scan_all(tp_os_now_ms());
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
    list->number = tp_magazine_take_number();
    tp_segment_slots[list->slot].maximum_depth = (uint16_t)state->maximum_depth;
    tp_depth_set(state, TAGPOOL_LOOKASIDE_DEPTH_MIN);
}

static void lookaside_register(struct tp_lookaside *state)
{
    tp_lock(TP_LOCK_LOOKASIDE);
    tp_thread_add_keeper(&tp_magazine_keeper);
    tp_limit_relief = relief;
    state->next = tp_store_lists;
    tp_store_lists = state;
    tp_unlock(TP_LOCK_LOOKASIDE);
}

int tagpool_lookaside_init(tagpool_lookaside_t *list, const tagpool_lookaside_options_t *options)
{
    if (!options_are_valid(options))
        return -1;
    tp_start_may_publish();
    tp_thread_self();
    struct tp_lookaside *state = tp_metadata_alloc(sizeof(*state));
    list->slot = state != NULL
                     ? tp_tag_take_lookaside(options->tag, tp_pool_layout(options->kind), (uint32_t)options->size)
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
    struct tp_lookaside **link = &tp_store_lists;
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
    struct tp_magazine *magazine = tp_magazine_find(thread, state);
    uint32_t count = 0;
    if (magazine != NULL) {
        count = tp_magazine_empty(magazine, blocks);
        magazine->state = NULL;
        thread->gate->hands[state->list->number] = NULL;
    }
    tp_unlock(TP_LOCK_LOOKASIDE);
    return count;
}

static void lookaside_detach_all(struct tp_lookaside *state)
{
    void *blocks[TP_MAGAZINE_BLOCKS];
    for (uint32_t i = 0; i < tp_thread_count(); i++) {
        struct tp_thread *thread = tp_thread_at(i);
        tp_store_return(state, blocks, lookaside_detach(state, thread, blocks));
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
    tp_store_return(state, blocks, tp_store_cut(state, 0, blocks));
    size_t outstanding = state->made;
    tp_magazine_give_number(list->number);
    tp_tag_give_lookaside(list->slot);
    tp_metadata_free(state, sizeof(*state));
    *list = (tagpool_lookaside_t){0};
    return outstanding;
}
