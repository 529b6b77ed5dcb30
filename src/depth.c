#include "depth.h"
#include "account.h"
#include "lock.h"
#include "os.h"

/* Time between two looks at all lists, and misses after which one list is looked at sooner. */
#define SCAN_MS 1000u
#define SCAN_MISSES 64u

/* Slow calls between two looks at the clock. */
#define SCAN_CALLS 16u

/* Fewer calls than this between two looks are little demand. */
#define SCAN_FEW 32u

/* When all lists were looked at last, and how often. */
static uint64_t depth_scanned_ms;
static uint64_t depth_scans;

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

void tp_depth_set(struct tp_lookaside *state, uint32_t depth)
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
        tp_depth_set(state, depth);
    state->seen_allocs = allocs;
    tp_poke(&state->seen_misses, misses);
    return tp_store_cut(state, state->depth, surplus);
}

/* Look at one list.  The lock is held; it is released while blocks go back, and the list stays meanwhile. */
static void depth_scan_list(struct tp_lookaside *state, bool in_time)
{
    void *surplus[TAGPOOL_LOOKASIDE_DEPTH_MAX];
    uint32_t count = depth_adjust(state, in_time, surplus);
    tp_store_pin(state);
    tp_unlock(TP_LOCK_LOOKASIDE);
    tp_store_return(state, surplus, count);
    tp_store_unpin(state);
    tp_lock(TP_LOCK_LOOKASIDE);
}

static struct tp_lookaside *depth_not_scanned(uint64_t scan)
{
    struct tp_lookaside *state = tp_store_lists;
    while (state != NULL && state->scan >= scan)
        state = state->next;
    return state;
}

/* Lists may come and go while the lock is released, so each is marked. */
void tp_depth_scan_all(uint64_t now)
{
    struct tp_lookaside *state;
    tp_lock(TP_LOCK_LOOKASIDE);
    tp_poke(&depth_scanned_ms, now);
    uint64_t scan = ++depth_scans;
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
void tp_depth_tick(struct tp_lookaside *state, uint32_t calls)
{
    if (tp_peek(&state->misses) - tp_peek(&state->seen_misses) >= SCAN_MISSES)
        depth_scan_one(state);
    if (calls % SCAN_CALLS != 0)
        return;
    uint64_t now = tp_os_now_ms();
    if (now - tp_peek(&depth_scanned_ms) >= SCAN_MS)
        tp_depth_scan_all(now);
}
