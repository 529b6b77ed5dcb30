#include "limit.h"
#include "account.h"
#include "lock.h"
#include "metadata.h"
#include "os.h"
#include "thread.h"

#include <errno.h>

/*
 * A call that another thread had begun when a meter turned near is through after this time, or was never going to be.
 */
#define LIMIT_SETTLE_MS 20

/* A meter that has fallen below its trigger by so much of it is far again. */
#define LIMIT_FAR_SHARE 8

/* But not before it was near for so long: each change makes all threads look their tags up anew. */
#define LIMIT_NEAR_MS 1000

#define LIMIT_NONE UINT64_MAX

struct tp_limit {
    tagpool_limit_t values;
    uint64_t held;  /* J2 */
    bool summed;    /* held is right: only while near and settled */
    bool settling;  /* somebody saw that it is near, and has waited since then */
    bool settled;   /* no call is under way that began before the meter turned near */
    bool crossed;   /* soft is below held, and was told */
    uint32_t phase; /* changes whenever the meter turns far */
    uint64_t settling_since_ms;
    uint64_t near_since_ms;
    uint64_t refused;
    struct tp_meter *meter;
    struct tp_limit *next;
};

/* In a line each, for bounds change at every page that is carved further, and the count is read at every slow free. */
struct tp_meter tp_limit_pools[TAGPOOL_SEGMENT_REGIONS] __attribute__((aligned(TP_CACHE_LINE)));
uint32_t tp_limit_near_count __attribute__((aligned(TP_CACHE_LINE)));
void (*tp_limit_relief)(uint32_t slot, bool whole_pool);

/* The thread that has been admitted, by its thread-local word: what it takes may grow. */
static struct tp_gate **limit_taker;

static struct tp_limit *limit_first; /* all there are; they are never taken away */
static uint64_t limit_control_epoch;
static uint32_t limit_control_version;

/* --- which meter ---------------------------------------------------------------------------------------------- */

static bool limit_is_pool(const struct tp_meter *meter)
{
    return meter >= tp_limit_pools && meter < tp_limit_pools + TAGPOOL_SEGMENT_REGIONS;
}

static uint32_t limit_slot(const struct tp_meter *meter)
{
    const char *tag = (const char *)meter - offsetof(struct tp_tag, meter);
    return (uint32_t)((const struct tp_tag *)tag - tp_tags);
}

static uint64_t limit_live(const struct tp_meter *meter)
{
    return limit_is_pool(meter) ? tp_account_live_in_pool((unsigned)(meter - tp_limit_pools))
                                : tp_account_live(limit_slot(meter));
}

/* --- near and far --------------------------------------------------------------------------------------------- */

/* The count comes first, for who reads it decides by it alone; and what was near already is counted already (J3). */
static void limit_turn_near(struct tp_meter *meter)
{
    __atomic_fetch_add(&tp_limit_near_count, 1, __ATOMIC_SEQ_CST);
    if (__atomic_exchange_n(&meter->near, 1, __ATOMIC_SEQ_CST))
        __atomic_fetch_sub(&tp_limit_near_count, 1, __ATOMIC_SEQ_CST);
    else
        tp_poke(&meter->limit->near_since_ms, tp_os_now_ms());
    tp_segment_next_epoch();
}

/* Near, only what was admitted grows; a call that began before asks now. */
bool tp_limit_grow_beyond(struct tp_meter *meter, size_t bytes)
{
    bool near = tp_peek(&meter->near);
    if (near && tp_peek(&limit_taker) == &tp_gate_self)
        return true;
    tp_limit_shrink(meter, bytes);
    if (!near)
        limit_turn_near(meter);
    return false;
}

/* The bound is below the soft limit then, and so is what is held. */
static void limit_turn_far(struct tp_meter *meter)
{
    struct tp_limit *limit = meter->limit;
    limit->summed = limit->settling = limit->settled = limit->crossed = false;
    limit->phase++;
    if (__atomic_exchange_n(&meter->near, 0, __ATOMIC_SEQ_CST))
        __atomic_fetch_sub(&tp_limit_near_count, 1, __ATOMIC_SEQ_CST);
    tp_segment_next_epoch();
}

static void limit_leave_if_far(struct tp_meter *meter)
{
    uint64_t trigger = meter->trigger;
    if (!tp_peek(&meter->near) || (trigger != 0 && tp_peek(&meter->bound) > trigger - trigger / LIMIT_FAR_SHARE))
        return;
    if (tp_os_now_ms() - tp_peek(&meter->limit->near_since_ms) >= LIMIT_NEAR_MS)
        limit_turn_far(meter);
}

/* Another thread has not looked since the epoch changed: a fast call of its may be under way. */
static bool limit_others_may_be_behind(void)
{
    uint64_t epoch = tp_peek(&tp_segment_control->epoch);
    for (uint32_t i = 0; i < tp_thread_count(); i++) {
        const struct tp_thread *thread = tp_thread_at(i);
        if (tp_peek(&thread->state) == TP_THREAD_ALIVE && tp_peek(&thread->gate->epoch) != epoch &&
            thread->gate != tp_gate_self)
            return true;
    }
    return false;
}

/*
 * Calls that began before the meter turned near are through, or so long ago that they never will be.  Who sees first
 * that it is near changes the epoch itself: who turned it near may not have come to that yet.
 */
static bool limit_is_settled(struct tp_limit *limit)
{
    if (!limit->settling) {
        tp_segment_next_epoch();
        limit->settling = true;
        limit->settling_since_ms = tp_os_now_ms();
    }
    if (!limit->settled && !limit_others_may_be_behind())
        limit->settled = true;
    if (!limit->settled && tp_os_now_ms() - limit->settling_since_ms >= LIMIT_SETTLE_MS)
        limit->settled = true;
    return limit->settled;
}

/*
 * The lock is held, and released while this waits: once a phase, and only for a sum that decides.  False: no need to.
 */
static bool limit_settle(struct tp_limit *limit)
{
    if (limit_is_settled(limit))
        return false;
    uint64_t passed = tp_os_now_ms() - limit->settling_since_ms;
    uint32_t phase = limit->phase;
    tp_unlock(TP_LOCK_LIMITS);
    tp_os_sleep_ms((uint32_t)(LIMIT_SETTLE_MS - tp_min(passed, LIMIT_SETTLE_MS)));
    tp_lock(TP_LOCK_LIMITS);
    if (limit->phase == phase)
        limit->settled = true;
    return true;
}

/* --- admission ------------------------------------------------------------------------------------------------ */

static uint64_t limit_or_none(uint64_t value)
{
    return value != 0 ? value : LIMIT_NONE;
}

static uint64_t limit_most(const tagpool_limit_t *values, enum tp_priority priority)
{
    uint64_t most = limit_or_none(values->hard);
    if (priority != TP_PRIORITY_HIGH)
        most = tp_min(most, limit_or_none(values->normal));
    if (priority == TP_PRIORITY_LOW)
        most = tp_min(most, limit_or_none(values->low));
    return most;
}

/* What was summed up is followed from then on, if nothing goes unseen: near before the sum began, and settled. */
static void limit_sum(struct tp_limit *limit)
{
    bool is_followed = tp_peek(&limit->meter->near) && limit_is_settled(limit);
    limit->held = limit_live(limit->meter);
    limit->summed = is_followed;
}

/* As far as is known without a sum. */
static bool limit_fits(const struct tp_limit *limit, size_t bytes, uint64_t most)
{
    if (bytes > most)
        return false;
    return tp_peek(&limit->meter->bound) <= most - bytes || (limit->summed && limit->held <= most - bytes);
}

static bool limit_fits_now(struct tp_limit *limit, size_t bytes, uint64_t most)
{
    limit_sum(limit);
    return bytes <= most && limit->held <= most - bytes;
}

enum limit_answer { LIMIT_YES, LIMIT_NO, LIMIT_ASK_AGAIN };

static enum limit_answer limit_ask(const struct tp_meter *meter, size_t bytes, enum tp_priority priority)
{
    struct tp_limit *limit = meter->limit;
    uint64_t most = limit != NULL ? limit_most(&limit->values, priority) : LIMIT_NONE;
    if (most == LIMIT_NONE || limit_fits(limit, bytes, most))
        return LIMIT_YES;
    if (tp_peek(&meter->near) && limit_settle(limit))
        return LIMIT_ASK_AGAIN;
    return limit_fits_now(limit, bytes, most) ? LIMIT_YES : LIMIT_NO;
}

static void limit_count_refusal(uint32_t slot, struct tp_meter *meter)
{
    meter->limit->refused++;
    __atomic_fetch_add(&tp_segment_slots[slot].refused_total, 1, __ATOMIC_RELAXED);
    if (limit_is_pool(meter))
        __atomic_fetch_add(&tp_segment->pool[meter - tp_limit_pools].refused_total, 1, __ATOMIC_RELAXED);
}

/* Routines of lists run there; the caller's errno is none of their business. */
static void limit_relieve(uint32_t slot, bool whole_pool)
{
    int saved = errno;
    tp_unlock(TP_LOCK_LIMITS);
    tp_limit_relief(slot, whole_pool);
    tp_lock(TP_LOCK_LIMITS);
    errno = saved;
}

/* The lock is held, and may be released meanwhile. */
static bool limit_admit(uint32_t slot, size_t bytes, enum tp_priority priority)
{
    struct tp_meter *const meters[] = {&tp_tags[slot].meter, tp_limit_pool_of(slot)};
    bool relieved = tp_limit_relief == NULL;
    for (size_t i = 0; i < 2;) {
        enum limit_answer answer = limit_ask(meters[i], bytes, priority);
        if (answer == LIMIT_NO && (relieved || bytes > limit_most(&meters[i]->limit->values, priority))) {
            limit_count_refusal(slot, meters[i]);
            return false;
        }
        if (answer == LIMIT_NO) {
            limit_relieve(slot, limit_is_pool(meters[i]));
            relieved = true;
        }
        i = answer == LIMIT_YES ? i + 1 : 0; /* what was said before the lock was released counts no more */
    }
    return true;
}

/* --- what was taken and given --------------------------------------------------------------------------------- */

/* A callback that is due. */
struct limit_event {
    void (*crossed)(uint64_t bytes, void *context);
    void *context;
    uint64_t bytes;
};

/* Above the soft limit for certain: frees that were not seen are looked for first. */
static bool limit_is_above(struct tp_limit *limit)
{
    uint64_t soft = limit->values.soft;
    if (soft == 0 || tp_peek(&limit->meter->bound) <= soft || (limit->summed && limit->held <= soft))
        return false;
    limit_sum(limit);
    return limit->held > soft;
}

/* It was above before this block already, as far as is known. */
static bool limit_stays_above(const struct tp_limit *limit, size_t bytes)
{
    return !limit->summed || limit->held - tp_min(bytes, limit->held) > limit->values.soft;
}

static void limit_took(const struct tp_meter *meter, size_t bytes, struct limit_event *event)
{
    struct tp_limit *limit = meter->limit;
    *event = (struct limit_event){0};
    if (limit == NULL || !tp_peek(&meter->near))
        return;
    limit->held += bytes;
    if (limit->crossed && limit_stays_above(limit, bytes))
        return;
    limit->crossed = false;
    if (!limit_is_above(limit))
        return;
    limit->crossed = true;
    *event = (struct limit_event){limit->values.crossed, limit->values.context, limit->held};
}

static void limit_gave(struct tp_meter *meter, size_t bytes)
{
    struct tp_limit *limit = meter->limit;
    if (limit == NULL || !tp_peek(&meter->near))
        return;
    limit->held -= tp_min(bytes, limit->held);
    if ((limit->summed ? limit->held : tp_peek(&meter->bound)) <= limit->values.soft)
        limit->crossed = false;
}

static void limit_tell(const struct limit_event *event)
{
    int saved = errno;
    if (event->crossed != NULL)
        event->crossed(event->bytes, event->context);
    errno = saved;
}

static int limit_nears(const struct tp_meter *tag, const struct tp_meter *pool)
{
    return tp_peek(&tag->near) + 2 * tp_peek(&pool->near);
}

/* While something is taken under one limit, another one may come near: then that is asked as well. */
static void *limit_take(uint32_t slot, size_t bytes, enum tp_priority priority, void *(*take)(void *), void *argument)
{
    const struct tp_meter *tag = &tp_tags[slot].meter, *pool = tp_limit_pool_of(slot);
    for (;;) {
        if (!limit_admit(slot, bytes, priority))
            return NULL;
        int before = limit_nears(tag, pool);
        tp_poke(&limit_taker, &tp_gate_self);
        void *taken = take(argument);
        tp_poke(&limit_taker, NULL);
        if (taken != NULL || limit_nears(tag, pool) == before)
            return taken;
    }
}

void *tp_limit_take(uint32_t slot, size_t bytes, enum tp_priority priority, void *(*take)(void *), void *argument)
{
    struct limit_event events[2] = {{0}};
    struct tp_meter *tag = &tp_tags[slot].meter, *pool = tp_limit_pool_of(slot);
    tp_lock(TP_LOCK_LIMITS);
    void *taken = limit_take(slot, bytes, priority, take, argument);
    if (taken != NULL) {
        limit_took(tag, bytes, &events[0]);
        limit_took(pool, bytes, &events[1]);
        limit_leave_if_far(tag);
        limit_leave_if_far(pool);
    }
    tp_unlock(TP_LOCK_LIMITS);
    limit_tell(&events[0]);
    limit_tell(&events[1]);
    return taken;
}

void tp_limit_give_begin(void)
{
    tp_lock(TP_LOCK_LIMITS);
}

void tp_limit_give_end(uint32_t slot, size_t bytes)
{
    limit_gave(&tp_tags[slot].meter, bytes);
    limit_gave(tp_limit_pool_of(slot), bytes);
    tp_unlock(TP_LOCK_LIMITS);
}

/* --- setting -------------------------------------------------------------------------------------------------- */

static uint64_t limit_trigger(const tagpool_limit_t *values)
{
    uint64_t most = limit_most(values, TP_PRIORITY_NORMAL);
    uint64_t first = tp_min(limit_or_none(values->soft), most);
    return first != LIMIT_NONE ? first : 0;
}

static void limit_show(const struct tp_meter *meter, const tagpool_limit_t *values)
{
    if (limit_is_pool(meter)) {
        struct tagpool_segment_pool *shared = &tp_segment->pool[meter - tp_limit_pools];
        tp_poke(&shared->soft_bytes, values->soft);
        tp_poke(&shared->hard_bytes, values->hard);
        return;
    }
    struct tagpool_segment_slot *shared = &tp_segment_slots[limit_slot(meter)];
    tp_poke(&shared->soft_bytes, values->soft);
    tp_poke(&shared->hard_bytes, values->hard);
}

/* The lock is held. */
static struct tp_limit *limit_of(struct tp_meter *meter)
{
    if (meter->limit != NULL)
        return meter->limit;
    struct tp_limit *limit = tp_metadata_alloc(sizeof(*limit));
    if (limit == NULL)
        return NULL;
    limit->meter = meter;
    limit->next = limit_first;
    limit_first = limit;
    return meter->limit = limit;
}

/*
 * The trigger comes first: what grows from now on sees it.  A meter that is far beyond it already turns near here; what
 * grew before the trigger could be seen is in its bound.
 */
static void limit_apply(struct tp_limit *limit, const tagpool_limit_t *values)
{
    struct tp_meter *meter = limit->meter;
    limit->values = *values;
    limit->crossed = false;
    __atomic_store_n(&meter->trigger, limit_trigger(values), __ATOMIC_SEQ_CST);
    bool near = meter->trigger != 0 && __atomic_load_n(&meter->bound, __ATOMIC_SEQ_CST) > meter->trigger;
    if (near && !tp_peek(&meter->near))
        limit_turn_near(meter);
    else if (!near && tp_peek(&meter->near))
        limit_turn_far(meter);
    limit_show(meter, values);
}

int tp_limit_set(struct tp_meter *meter, const tagpool_limit_t *values)
{
    tp_lock(TP_LOCK_LIMITS);
    struct tp_limit *limit = limit_of(meter);
    if (limit != NULL)
        limit_apply(limit, values);
    tp_unlock(TP_LOCK_LIMITS);
    return limit != NULL ? 0 : -ENOMEM;
}

bool tp_limit_get(struct tp_meter *meter, tagpool_limit_state_t *state)
{
    tp_lock(TP_LOCK_LIMITS);
    const struct tp_limit *limit = meter->limit;
    if (limit != NULL)
        *state = (tagpool_limit_state_t){
            .soft = limit->values.soft,
            .hard = limit->values.hard,
            .held = tp_min(limit_live(meter), tp_peek(&meter->bound)),
            .refused = limit->refused,
        };
    tp_unlock(TP_LOCK_LIMITS);
    return limit != NULL;
}

uint64_t tp_limit_hard(const struct tp_meter *meter)
{
    tp_lock(TP_LOCK_LIMITS);
    uint64_t hard = meter->limit != NULL ? meter->limit->values.hard : 0;
    tp_unlock(TP_LOCK_LIMITS);
    return hard;
}

/* --- from outside --------------------------------------------------------------------------------------------- */

static struct tp_meter *limit_named(const struct tagpool_segment_limit *line)
{
    if (line->slot == TAGPOOL_SEGMENT_NO_SLOT)
        return line->kind < TAGPOOL_SEGMENT_REGIONS ? &tp_limit_pools[line->kind] : NULL;
    if (line->slot < TP_SLOT_FIRST || line->slot >= TP_SLOT_COUNT || tp_tags[line->slot].tag == 0 ||
        tp_tags[line->slot].face == TAGPOOL_SEGMENT_LOOKASIDE)
        return NULL;
    return &tp_tags[line->slot].meter;
}

static void limit_read_line(const struct tagpool_segment_limit *line)
{
    struct tp_meter *meter = limit_named(line);
    struct tp_limit *limit = meter != NULL ? limit_of(meter) : NULL;
    if (limit == NULL || (line->hard_bytes != 0 && line->soft_bytes > line->hard_bytes))
        return;
    tagpool_limit_t values = limit->values;
    values.soft = line->soft_bytes;
    values.hard = line->hard_bytes;
    if (values.soft != limit->values.soft || values.hard != limit->values.hard)
        limit_apply(limit, &values);
}

/* The number comes first: what is written while this reads has another one. */
static void limit_read_control(void)
{
    limit_control_version = __atomic_load_n(&tp_segment_control->limits_version, __ATOMIC_ACQUIRE);
    struct tagpool_segment_control control = *tp_segment_control;
    for (uint32_t i = 0; i < tp_min(control.limits_count, TAGPOOL_SEGMENT_LIMITS); i++)
        limit_read_line(&control.limits[i]);
    tp_publish(&tp_segment->limits_seen, limit_control_version);
}

void tp_limit_follow_control(uint64_t epoch)
{
    if (tp_peek(&limit_control_epoch) == epoch)
        return;
    tp_lock(TP_LOCK_LIMITS);
    tp_poke(&limit_control_epoch, epoch);
    if (tp_peek(&tp_segment_control->limits_version) != limit_control_version)
        limit_read_control();
    tp_unlock(TP_LOCK_LIMITS);
}

/* --- fork ----------------------------------------------------------------------------------------------------- */

void tp_limit_adopt(void)
{
    limit_taker = NULL;
    tp_limit_near_count = 0;
    for (struct tp_limit *limit = limit_first; limit != NULL; limit = limit->next) {
        limit->summed = limit->crossed = false;
        tp_limit_near_count += limit->meter->near;
        limit_show(limit->meter, &limit->values);
    }
}
