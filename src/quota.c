#include "quota.h"
#include "fatal.h"
#include "lock.h"
#include "metadata.h"

#include <string.h>

struct tp_quota {
    uint32_t index;
    uint32_t users; /* Q2 */
    bool has_handle;
    struct tp_quota *parent;
    uint64_t limit[TAGPOOL_SEGMENT_REGIONS]; /* UINT64_MAX: none */
    uint64_t held[TAGPOOL_SEGMENT_REGIONS];
    uint64_t peak[TAGPOOL_SEGMENT_REGIONS];
    uint64_t refused;
    struct tp_quota *next;
    char name[TAGPOOL_SEGMENT_QUOTA_NAME];
};

static struct tp_quota *quota_by_index[TP_QUOTA_COUNT];
static struct tp_quota *quota_first; /* all there are */
static uint32_t quota_next_index = 1;
static uint16_t quota_free_indices[TP_QUOTA_COUNT];
static uint32_t quota_free_count;

/* --- what readers see ----------------------------------------------------------------------------------------- */

static struct tagpool_segment_quota *quota_row(const struct tp_quota *quota)
{
    return &tp_segment_quotas[quota->index];
}

/* Until the row says what the account does: whoever comes last leaves it so. */
static void quota_show(uint64_t *shown, const uint64_t *word)
{
    uint64_t value;
    do {
        value = __atomic_load_n(word, __ATOMIC_SEQ_CST);
        __atomic_store_n(shown, value, __ATOMIC_SEQ_CST);
    } while (__atomic_load_n(word, __ATOMIC_SEQ_CST) != value);
}

static void quota_show_limit(const struct tp_quota *quota, unsigned region)
{
    uint64_t limit = tp_peek(&quota->limit[region]);
    tp_poke(&quota_row(quota)->limit_bytes[region], limit != UINT64_MAX ? limit : 0);
}

/* The row is the account's from now on. */
static void quota_publish(const struct tp_quota *quota)
{
    struct tagpool_segment_quota *row = quota_row(quota);
    __atomic_fetch_add(&row->sequence, 1, __ATOMIC_SEQ_CST);
    row->parent = tp_quota_index(quota->parent);
    row->refused_total = quota->refused;
    memcpy(row->name, quota->name, sizeof(row->name));
    for (unsigned region = 0; region < TAGPOOL_SEGMENT_REGIONS; region++) {
        quota_show_limit(quota, region);
        quota_show(&row->held_bytes[region], &quota->held[region]);
        quota_show(&row->peak_bytes[region], &quota->peak[region]);
    }
    tp_publish(&row->used, 1);
    __atomic_fetch_add(&row->sequence, 1, __ATOMIC_SEQ_CST);
    if (quota->index >= tp_segment->quotas_used_total)
        tp_publish(&tp_segment->quotas_used_total, quota->index + 1);
}

static void quota_unpublish(const struct tp_quota *quota)
{
    tp_publish(&quota_row(quota)->used, 0);
}

/* --- making and ending ---------------------------------------------------------------------------------------- */

uint32_t tp_quota_index(const struct tp_quota *quota)
{
    return quota != NULL ? quota->index : TP_ACCOUNT_NONE;
}

/* The lock is held.  TP_ACCOUNT_NONE: there are no more. */
static uint32_t quota_take_index(void)
{
    if (quota_free_count > 0)
        return quota_free_indices[--quota_free_count];
    if (quota_next_index == TP_QUOTA_COUNT || tp_segment_quotas_ready(quota_next_index + 1) != 0)
        return TP_ACCOUNT_NONE;
    return quota_next_index++;
}

static void quota_hold(struct tp_quota *quota)
{
    if (quota != NULL)
        __atomic_fetch_add(&quota->users, 1, __ATOMIC_RELAXED);
}

static void quota_unregister(struct tp_quota *quota)
{
    tp_lock(TP_LOCK_TAGS);
    struct tp_quota **link = &quota_first;
    while (*link != quota)
        link = &(*link)->next;
    *link = quota->next;
    quota_unpublish(quota);
    quota_by_index[quota->index] = NULL;
    quota_free_indices[quota_free_count++] = (uint16_t)quota->index;
    tp_unlock(TP_LOCK_TAGS);
}

/* The last user ends an account, and with it one user of the account above. */
static void quota_release(struct tp_quota *quota)
{
    while (quota != NULL && __atomic_sub_fetch(&quota->users, 1, __ATOMIC_ACQ_REL) == 0) {
        struct tp_quota *parent = quota->parent;
        quota_unregister(quota);
        tp_metadata_free(quota, sizeof(*quota));
        quota = parent;
    }
}

static bool quota_register(struct tp_quota *quota)
{
    tp_lock(TP_LOCK_TAGS);
    quota->index = quota_take_index();
    if (quota->index != TP_ACCOUNT_NONE) {
        quota_by_index[quota->index] = quota;
        quota->next = quota_first;
        quota_first = quota;
        quota_publish(quota);
    }
    tp_unlock(TP_LOCK_TAGS);
    return quota->index != TP_ACCOUNT_NONE;
}

static struct tp_thread_keeper quota_keeper;

struct tp_quota *tp_quota_create(struct tp_quota *parent, const char *name, const uint64_t *limits)
{
    struct tp_quota *quota = tp_metadata_alloc(sizeof(*quota));
    if (quota == NULL)
        return NULL;
    quota->parent = parent;
    quota->users = 1;
    quota->has_handle = true;
    strncpy(quota->name, name, sizeof(quota->name) - 1);
    for (unsigned region = 0; region < TAGPOOL_SEGMENT_REGIONS; region++)
        quota->limit[region] = limits[region] != 0 ? limits[region] : UINT64_MAX;
    if (!quota_register(quota)) {
        tp_metadata_free(quota, sizeof(*quota));
        return NULL;
    }
    quota_hold(parent);
    tp_thread_add_keeper(&quota_keeper);
    return quota;
}

void tp_quota_destroy(struct tp_quota *quota)
{
    quota->has_handle = false;
    quota_release(quota);
}

void tp_quota_attach(struct tp_thread *thread, struct tp_quota *quota)
{
    struct tp_quota *before = thread->quota;
    quota_hold(quota);
    thread->quota = quota;
    quota_release(before);
}

/* --- charging ------------------------------------------------------------------------------------------------- */

/* Once all levels have agreed. */
static void quota_note_peak(struct tp_quota *quota, unsigned region)
{
    uint64_t held = tp_peek(&quota->held[region]);
    uint64_t peak = tp_peek(&quota->peak[region]);
    if (held <= peak)
        return;
    while (held > peak && !__atomic_compare_exchange_n(&quota->peak[region], &peak, held, true, __ATOMIC_RELAXED,
                                                       __ATOMIC_RELAXED))
        ;
    quota_show(&quota_row(quota)->peak_bytes[region], &quota->peak[region]);
}

/* One level (Q1). */
static bool quota_add(struct tp_quota *quota, unsigned region, size_t bytes)
{
    uint64_t limit = tp_peek(&quota->limit[region]);
    uint64_t held = tp_peek(&quota->held[region]);
    do {
        if (bytes > limit || held > limit - bytes) {
            __atomic_fetch_add(&quota->refused, 1, __ATOMIC_RELAXED);
            quota_show(&quota_row(quota)->refused_total, &quota->refused);
            return false;
        }
    } while (!__atomic_compare_exchange_n(&quota->held[region], &held, held + bytes, true, __ATOMIC_SEQ_CST,
                                          __ATOMIC_RELAXED));
    quota_show(&quota_row(quota)->held_bytes[region], &quota->held[region]);
    return true;
}

/* From an account up to, not including, `end`. */
static void quota_subtract(struct tp_quota *quota, const struct tp_quota *end, unsigned region, size_t bytes)
{
    for (; quota != end; quota = quota->parent) {
        __atomic_fetch_sub(&quota->held[region], bytes, __ATOMIC_SEQ_CST);
        quota_show(&quota_row(quota)->held_bytes[region], &quota->held[region]);
    }
}

bool tp_quota_charge_more(uint32_t index, unsigned region, size_t bytes)
{
    struct tp_quota *first = quota_by_index[index];
    for (struct tp_quota *quota = first; quota != NULL; quota = quota->parent)
        if (!quota_add(quota, region, bytes)) {
            quota_subtract(first, quota, region, bytes);
            return false;
        }
    for (struct tp_quota *quota = first; quota != NULL; quota = quota->parent)
        quota_note_peak(quota, region);
    return true;
}

void tp_quota_charge_less(uint32_t index, unsigned region, size_t bytes)
{
    quota_subtract(quota_by_index[index], NULL, region, bytes);
}

bool tp_quota_charge(uint32_t index, unsigned region, size_t bytes)
{
    if (!tp_quota_charge_more(index, region, bytes))
        return false;
    quota_hold(quota_by_index[index]);
    return true;
}

void tp_quota_uncharge(uint32_t index, unsigned region, size_t bytes)
{
    tp_quota_charge_less(index, region, bytes);
    quota_release(quota_by_index[index]);
}

/* --- limits and numbers --------------------------------------------------------------------------------------- */

void tp_quota_set_limit(struct tp_quota *quota, unsigned region, uint64_t limit)
{
    tp_poke(&quota->limit[region], limit != 0 ? limit : UINT64_MAX);
    quota_show_limit(quota, region);
}

void tp_quota_read(const struct tp_quota *quota, unsigned region, tagpool_quota_stats_t *stats)
{
    uint64_t limit = tp_peek(&quota->limit[region]);
    *stats = (tagpool_quota_stats_t){
        .held = tp_peek(&quota->held[region]),
        .peak = tp_peek(&quota->peak[region]),
        .limit = limit != UINT64_MAX ? limit : 0,
        .refused = tp_peek(&quota->refused),
    };
}

/* --- threads and fork ----------------------------------------------------------------------------------------- */

static void keeper_end(struct tp_thread *thread)
{
    tp_quota_attach(thread, NULL);
}

/* Other threads of the parent are no users here, and blocks are counted anew: tp_quota_inherit. */
static void keeper_adopt(struct tp_thread *self)
{
    for (uint32_t i = 0; i < tp_thread_count(); i++)
        if (tp_thread_at(i) != self)
            tp_thread_at(i)->quota = NULL;
    for (struct tp_quota *quota = quota_first; quota != NULL; quota = quota->next) {
        quota->users = quota->has_handle ? 1 : 0;
        memset(quota->held, 0, sizeof(quota->held));
    }
    for (struct tp_quota *quota = quota_first; quota != NULL; quota = quota->next)
        quota_hold(quota->parent);
    if (self != NULL)
        quota_hold(self->quota);
}

static struct tp_thread_keeper quota_keeper = {.end = keeper_end, .adopt = keeper_adopt};

void tp_quota_inherit(uint32_t index, unsigned region, size_t bytes)
{
    for (struct tp_quota *quota = quota_by_index[index]; quota != NULL; quota = quota->parent)
        quota->held[region] += bytes;
    quota_hold(quota_by_index[index]);
}

/* An account that only other threads, or blocks of theirs, kept alive. */
static struct tp_quota *quota_find_unused(void)
{
    struct tp_quota *quota = quota_first;
    while (quota != NULL && quota->users != 0)
        quota = quota->next;
    return quota;
}

void tp_quota_settle(void)
{
    struct tp_quota *unused;
    if (tp_segment_quotas_ready(quota_next_index > 1 ? quota_next_index : 0) != 0)
        tp_fail("no memory for a child's quota accounts");
    while ((unused = quota_find_unused()) != NULL) {
        unused->users = 1;
        quota_release(unused);
    }
    for (const struct tp_quota *quota = quota_first; quota != NULL; quota = quota->next)
        quota_publish(quota);
}
