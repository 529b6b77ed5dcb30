/*
 * Limits: how many bytes the callers of a tag, or of a pool, may hold.
 *
 *   far    bound + growth <= trigger    fast paths work; slow steps add what they make available to `bound`
 *   near   beyond that                  every allocation is slow, asks here, and is admitted to the byte
 *
 * `bound` counts the carved blocks of owned pages, given out or not, live blocks of mixed pages, large blocks, and what
 * threads hold ahead (ahead.h); of a pool, all memory that was carved.  A fast path gives out nothing that is not in
 * it, so far from the trigger nothing needs to be counted call by call.  Near it `held` is what callers have: summed up
 * from the accounts once, then followed by allocations and by those frees that come by here, and summed up again before
 * anything is refused.
 *
 * J1  bound >= what callers hold.
 * J2  summed: held >= what callers hold.  Nothing is summed for that before calls are through that began when it was
 *     far.
 * J3  A meter turns near before the epoch changes, so that no thread enters a heap for its slots afterwards.
 *
 * Lock: TP_LOCK_LIMITS, from the question to the counted block.  Callbacks run without it.
 */
#ifndef TP_LIMIT_H
#define TP_LIMIT_H

#include "tag.h"

#include <tagpool/limit.h>

enum tp_priority { TP_PRIORITY_NORMAL, TP_PRIORITY_LOW, TP_PRIORITY_HIGH };

/* The pools' meters, by region; a tag's is in tp_tags. */
extern struct tp_meter tp_limit_pools[TAGPOOL_SEGMENT_REGIONS];

TP_INLINE struct tp_meter *tp_limit_pool_of(uint32_t slot)
{
    return &tp_limit_pools[tp_tags[slot].region];
}

/* How many meters are near.  Kept away from bounds, which change all the time and are looked at by few. */
extern uint32_t tp_limit_near_count;

/* Blocks of this slot are counted one by one. */
TP_INLINE bool tp_limit_is_near(uint32_t slot)
{
    if (TP_LIKELY(tp_peek(&tp_limit_near_count) == 0))
        return false;
    return tp_peek(&tp_tags[slot].meter.near) | tp_peek(&tp_limit_pool_of(slot)->near);
}

/* There is a limit, of the tag or its pool: what was refused without it being asked is asked. */
TP_INLINE bool tp_limit_exists(uint32_t slot)
{
    return tp_peek(&tp_tags[slot].meter.limit) != NULL || tp_peek(&tp_limit_pool_of(slot)->limit) != NULL;
}

/* An allocation must go through tp_limit_take. */
TP_INLINE bool tp_limit_must_ask(uint32_t slot, enum tp_priority priority)
{
    return tp_limit_is_near(slot) || (priority == TP_PRIORITY_LOW && tp_limit_pool_of(slot)->limit != NULL);
}

bool tp_limit_grow_beyond(struct tp_meter *meter, size_t bytes);

/*
 * Before so many more bytes can be given out.  False: the meter is near, this call did not ask, and nothing was
 * added.
 */
TP_INLINE bool tp_limit_grow(struct tp_meter *meter, size_t bytes)
{
    /* Partner: the trigger is stored before the bound is looked at. */
    uint64_t bound = __atomic_add_fetch(&meter->bound, bytes, __ATOMIC_SEQ_CST);
    uint64_t trigger = __atomic_load_n(&meter->trigger, __ATOMIC_SEQ_CST);
    if (TP_LIKELY(trigger == 0 || (bound <= trigger && !tp_peek(&meter->near))))
        return true;
    return tp_limit_grow_beyond(meter, bytes);
}

TP_INLINE void tp_limit_shrink(struct tp_meter *meter, size_t bytes)
{
    __atomic_fetch_sub(&meter->bound, bytes, __ATOMIC_RELAXED);
}

/*
 * Have `take` make `bytes` more available to a caller, if limits and priority allow; NULL where they do not, or where
 * it returns NULL.  take runs under TP_LOCK_LIMITS; callbacks of limits that were crossed run after it.
 */
void *tp_limit_take(uint32_t slot, size_t bytes, enum tp_priority priority, void *(*take)(void *), void *argument);

/* Around the counting of a free of `bytes`, where tp_limit_is_near. */
void tp_limit_give_begin(void);
void tp_limit_give_end(uint32_t slot, size_t bytes);

/* Near a limit a free is counted together with what is held (J2). */
TP_INLINE bool tp_limit_free_begin(uint32_t slot)
{
    bool near = tp_limit_is_near(slot);
    if (TP_UNLIKELY(near))
        tp_limit_give_begin();
    return near;
}

TP_INLINE void tp_limit_free_end(bool near, uint32_t slot, size_t bytes)
{
    if (TP_UNLIKELY(near))
        tp_limit_give_end(slot, bytes);
}

/* What can be freed without harm when a limit of the tag's, or of its pool, is reached; called without a lock. */
extern void (*tp_limit_relief)(uint32_t slot, bool whole_pool);

/* Set a slot's or a pool's limit; of zeros: none.  -ENOMEM, or 0. */
int tp_limit_set(struct tp_meter *meter, const tagpool_limit_t *limit);

/* How a limit stands; false: none was ever set. */
bool tp_limit_get(struct tp_meter *meter, tagpool_limit_state_t *state);

/* The hard limit in force; 0: none. */
uint64_t tp_limit_hard(const struct tp_meter *meter);

/* What a tool wrote into the control page under this epoch is done, once. */
void tp_limit_follow_control(uint64_t epoch);

/* In a forked child: what other threads held is as it was; nothing that was summed up is. */
void tp_limit_adopt(void);

#endif
