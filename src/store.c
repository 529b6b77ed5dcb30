#include "store.h"
#include "alloc.h"
#include "free.h"
#include "lock.h"
#include "os.h"

#include <errno.h>
#include <string.h>

struct tp_lookaside *tp_store_lists;

/* --- pins ----------------------------------------------------------------------------------------------------- */

void tp_store_pin(struct tp_lookaside *state)
{
    __atomic_fetch_add(&state->busy, 1, __ATOMIC_RELAXED);
}

void tp_store_unpin(struct tp_lookaside *state)
{
    if (__atomic_sub_fetch(&state->busy, 1, __ATOMIC_RELEASE) == 0)
        tp_os_futex_wake(&state->busy);
}

/* --- blocks from the pool and back ---------------------------------------------------------------------------- */

static void *store_from_pool(struct tp_lookaside *state, struct tp_thread *thread, struct tp_call call)
{
    const tagpool_lookaside_options_t *options = &state->options;
    if (options->alloc != NULL)
        return options->alloc(state->list, options->size, options->tag);
    const struct tp_alloc_request request = {
        .slot = state->block_slot, .size = options->size, .alignment = 16, .call = call};
    return tp_alloc_requested(thread, &request);
}

static void store_to_pool(struct tp_lookaside *state, void *block)
{
    if (state->options.free != NULL)
        state->options.free(state->list, block);
    else
        tp_free_slow(block);
}

static bool store_construct(struct tp_lookaside *state, void *block)
{
    int error = state->options.construct != NULL ? state->options.construct(state->list, block) : 0;
    if (error == 0)
        return true;
    store_to_pool(state, block);
    errno = error;
    return false;
}

void *tp_store_make(struct tp_lookaside *state, struct tp_thread *thread, struct tp_call call)
{
    void *block = store_from_pool(state, thread, call);
    if (block == NULL || !store_construct(state, block))
        return NULL;
    __atomic_fetch_add(&state->made, 1, __ATOMIC_RELAXED);
    __atomic_fetch_add(&state->misses, 1, __ATOMIC_RELAXED);
    return block;
}

static void store_count_returned(const struct tp_lookaside *state, uint32_t count)
{
    __atomic_fetch_add(&tp_segment_slots[state->list->slot].large_free_bytes_total, count * state->options.size,
                       __ATOMIC_RELAXED);
}

void tp_store_return(struct tp_lookaside *state, void *const *blocks, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (state->options.destruct != NULL)
            state->options.destruct(state->list, blocks[i]);
        store_to_pool(state, blocks[i]);
    }
    __atomic_fetch_sub(&state->made, count, __ATOMIC_RELAXED);
    store_count_returned(state, count);
}

/* --- store ---------------------------------------------------------------------------------------------------- */

uint32_t tp_store_take(struct tp_lookaside *state, void **blocks, uint32_t most)
{
    if (tp_peek(&state->count) == 0 || tp_tag_is_concerned(state->block_slot))
        return 0;
    tp_lock(TP_LOCK_LOOKASIDE);
    uint32_t count = (uint32_t)tp_min(state->count, most);
    memcpy(blocks, &state->store[state->count - count], count * sizeof(blocks[0]));
    tp_poke(&state->count, state->count - count);
    tp_unlock(TP_LOCK_LOOKASIDE);
    return count;
}

uint32_t tp_store_put(struct tp_lookaside *state, void *const *blocks, uint32_t count)
{
    if (tp_peek(&state->count) >= tp_peek(&state->depth) || tp_tag_is_concerned(state->block_slot))
        return count;
    tp_lock(TP_LOCK_LOOKASIDE);
    uint32_t room = state->depth > state->count ? state->depth - state->count : 0;
    uint32_t moved = (uint32_t)tp_min(room, count);
    memcpy(&state->store[state->count], &blocks[count - moved], moved * sizeof(blocks[0]));
    tp_poke(&state->count, state->count + moved);
    tp_unlock(TP_LOCK_LOOKASIDE);
    return count - moved;
}

uint32_t tp_store_cut(struct tp_lookaside *state, uint32_t keep, void **blocks)
{
    uint32_t count = state->count > keep ? state->count - keep : 0;
    memcpy(blocks, &state->store[state->count - count], count * sizeof(blocks[0]));
    tp_poke(&state->count, state->count - count);
    return count;
}
