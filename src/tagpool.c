/*
 * The public API (include/tagpool/tagpool.h) over the engine.
 */
#include <tagpool/tagpool.h>

#include "census.h"
#include "fast.h"
#include "pool.h"
#include "quota.h"
#include "start.h"

#include <errno.h>
#include <string.h>

/* The slow half: check what is given and find the slot; a program that calls this is ready to be looked at. */
static TP_NOINLINE uint32_t open_tag(tagpool_kind_t kind, tagpool_tag_t tag, struct tp_thread **thread)
{
    if (!tp_pool_is_valid(kind, tag))
        return TAGPOOL_SEGMENT_NO_SLOT;
    tp_start_may_publish();
    *thread = tp_thread_self();
    return tp_site_slot_of_tag(*thread, tag, tp_pool_layout(kind));
}

/* A request as the API's functions make it. */
#define REQUEST(bytes, align, more)                                                                                    \
    ((struct tp_alloc_request){                                                                                        \
        .flags = (more), .size = (bytes), .alignment = (align), .call = TP_CALL_HERE(), .face = TAGPOOL_REPORT_API})

static void *alloc_in_slot(struct tp_thread *thread, uint32_t slot, struct tp_alloc_request *request)
{
    request->slot = slot;
    return slot != TAGPOOL_SEGMENT_NO_SLOT ? tp_alloc_requested(thread, request) : NULL;
}

static TP_NOINLINE void *alloc_slow(tagpool_kind_t kind, tagpool_tag_t tag, struct tp_alloc_request request)
{
    struct tp_thread *thread = NULL;
    uint32_t slot = open_tag(kind, tag, &thread);
    return alloc_in_slot(thread, slot, &request);
}

TP_INLINE void *alloc_fast(tagpool_kind_t kind, size_t size, tagpool_tag_t tag)
{
    uint64_t key = tp_site_key(TP_KEY_TAG, tp_site_tag_value(tag, tp_pool_layout(kind)));
    return tp_pool_kind_is_known(kind) ? tp_alloc_fast(key, TP_TABLE_POOL, size) : NULL;
}

void *tagpool_alloc(tagpool_kind_t kind, size_t size, tagpool_tag_t tag)
{
    void *block = alloc_fast(kind, size, tag);
    return TP_LIKELY(block != NULL) ? block : alloc_slow(kind, tag, REQUEST(size, 16, 0));
}

void *tagpool_zalloc(tagpool_kind_t kind, size_t size, tagpool_tag_t tag)
{
    return alloc_slow(kind, tag, REQUEST(size, 16, TP_ALLOC_ZERO));
}

void *tagpool_alloc_aligned(tagpool_kind_t kind, size_t alignment, size_t size, tagpool_tag_t tag)
{
    if (!tp_is_power_of_two(alignment)) {
        errno = EINVAL;
        return NULL;
    }
    void *block = alignment <= 16 ? alloc_fast(kind, size, tag) : NULL;
    return block != NULL ? block : alloc_slow(kind, tag, REQUEST(size, tp_max(alignment, 16), 0));
}

/* --- flags ---------------------------------------------------------------------------------------------------- */

#define FLAGS_KNOWN ((unsigned)(TAGPOOL_ZERO | TAGPOOL_CHARGE | TAGPOOL_LOW | TAGPOOL_HIGH))
#define FLAGS_PRIORITY ((unsigned)(TAGPOOL_LOW | TAGPOOL_HIGH))

static bool flags_are_valid(unsigned flags)
{
    if ((flags & ~FLAGS_KNOWN) == 0 && (flags & FLAGS_PRIORITY) != FLAGS_PRIORITY)
        return true;
    errno = EINVAL;
    return false;
}

static void *alloc_with_flags(struct tp_thread *thread, uint32_t slot, unsigned flags, struct tp_alloc_request *request)
{
    if ((flags & TAGPOOL_ZERO) != 0)
        request->flags |= TP_ALLOC_ZERO;
    if ((flags & FLAGS_PRIORITY) != 0)
        request->priority = (flags & TAGPOOL_LOW) != 0 ? TP_PRIORITY_LOW : TP_PRIORITY_HIGH;
    if ((flags & TAGPOOL_CHARGE) != 0 && thread != NULL)
        request->account = tp_quota_index(thread->quota);
    return alloc_in_slot(thread, slot, request);
}

void *tagpool_alloc_flags(tagpool_kind_t kind, size_t size, tagpool_tag_t tag, unsigned flags)
{
    struct tp_thread *thread = NULL;
    if (!flags_are_valid(flags))
        return NULL;
    uint32_t slot = open_tag(kind, tag, &thread);
    return alloc_with_flags(thread, slot, flags, &REQUEST(size, 16, 0));
}

/* --- resize, free, look up ------------------------------------------------------------------------------------ */

void *tagpool_realloc(void *block, size_t size)
{
    if (block == NULL) {
        errno = EINVAL;
        return NULL;
    }
    struct tp_thread *thread = tp_thread_self();
    struct tp_block_info info = tp_block_look_up(block);
    if (tp_block_resize(block, &info, size))
        return block;
    struct tp_alloc_request request = REQUEST(size, 16, 0);
    request.slot = info.slot;
    return tp_block_move(thread, block, &info, &request);
}

void tagpool_free(void *block)
{
    tp_free(block, TAGPOOL_REPORT_API);
}

void tagpool_free_tag(void *block, tagpool_tag_t tag)
{
    if (block == NULL)
        return;
    tp_thread_self();
    struct tp_block_info info = tp_block_look_up(block);
    uint32_t real = tp_tags[info.slot].tag;
    if (info.slot != TAGPOOL_SEGMENT_NO_SLOT && real != tag && !tp_tag_is_shared(info.slot))
        tp_stop(TP_CALLER_WRONG_TAG, (uintptr_t)block, real, tag, block, real);
    tp_free(block, TAGPOOL_REPORT_API);
}

size_t tagpool_size(const void *block)
{
    return block != NULL ? tp_block_look_up(block).size : 0;
}

tagpool_tag_t tagpool_tag_of(const void *block)
{
    struct tp_block_info info;
    return tp_block_find(block, &info) ? tp_tags[info.slot].tag : 0;
}

/* --- handles -------------------------------------------------------------------------------------------------- */

tagpool_handle_t tagpool_open(tagpool_kind_t kind, tagpool_tag_t tag)
{
    struct tp_thread *thread = NULL;
    return tp_pool_handle(open_tag(kind, tag, &thread));
}

/* The slot of a handle; NULL is what a failed tagpool_open gave. */
static uint32_t open_handle(tagpool_handle_t handle, struct tp_thread **thread)
{
    if (TP_UNLIKELY(handle == NULL)) {
        errno = EINVAL;
        return TAGPOOL_SEGMENT_NO_SLOT;
    }
    *thread = tp_thread_self();
    return tp_site_slot_of_handle(*thread, tp_pool_slot(handle));
}

static TP_NOINLINE void *handle_alloc_slow(tagpool_handle_t handle, struct tp_alloc_request request)
{
    struct tp_thread *thread = NULL;
    uint32_t slot = open_handle(handle, &thread);
    return alloc_in_slot(thread, slot, &request);
}

void *tagpool_handle_alloc(tagpool_handle_t handle, size_t size)
{
    void *block = tp_alloc_fast(tp_site_key(TP_KEY_HANDLE, tp_pool_slot(handle)), TP_TABLE_POOL, size);
    return TP_LIKELY(block != NULL) ? block : handle_alloc_slow(handle, REQUEST(size, 16, 0));
}

void *tagpool_handle_zalloc(tagpool_handle_t handle, size_t size)
{
    return handle_alloc_slow(handle, REQUEST(size, 16, TP_ALLOC_ZERO));
}

void *tagpool_handle_alloc_flags(tagpool_handle_t handle, size_t size, unsigned flags)
{
    struct tp_thread *thread = NULL;
    if (!flags_are_valid(flags))
        return NULL;
    uint32_t slot = open_handle(handle, &thread);
    return alloc_with_flags(thread, slot, flags, &REQUEST(size, 16, 0));
}

/* --- accounts and limits -------------------------------------------------------------------------------------- */

int tagpool_stats(tagpool_kind_t kind, tagpool_tag_t tag, struct tagpool_stats *stats)
{
    struct tp_census_view view;
    struct tp_census_sum sum;
    tp_thread_self(); /* a forked child has accounts of its own from its first call on */
    uint32_t slot = tp_pool_is_valid(kind, tag) ? tp_tag_find(tag, tp_pool_layout(kind)) : TAGPOOL_SEGMENT_NO_SLOT;
    sum.allocs = 0;
    if (slot != TAGPOOL_SEGMENT_NO_SLOT && tp_census_open(&view, tp_segment, tp_segment_size()) == 0)
        tp_census_sum(&view, slot, 1, &sum);
    if (sum.allocs == 0) {
        errno = ENOENT;
        return -1;
    }
    stats->allocs = sum.allocs;
    stats->frees = sum.frees;
    /* While others allocate and free, the sum may be too large; the bound is never too small. */
    stats->bytes = tp_min(tp_census_live_bytes(&sum), tp_peek(&tp_tags[slot].meter.bound));
    stats->peak_bytes = tp_tag_note_live(slot, stats->bytes);
    return 0;
}

/* 0 is none. */
static bool limit_is_ordered(uint64_t lower, uint64_t upper)
{
    return lower == 0 || upper == 0 || lower <= upper;
}

static bool limit_is_valid(const tagpool_limit_t *limit, bool is_pool)
{
    bool ordered = limit_is_ordered(limit->soft, limit->hard) && limit_is_ordered(limit->low, limit->normal) &&
                   limit_is_ordered(limit->low, limit->hard) && limit_is_ordered(limit->normal, limit->hard);
    if (ordered && (is_pool || (limit->low == 0 && limit->normal == 0)))
        return true;
    errno = EINVAL;
    return false;
}

/* What never had a limit needs none taken away. */
static int limit_set(struct tp_meter *meter, const tagpool_limit_t *limit)
{
    if (limit == NULL && meter->limit == NULL)
        return 0;
    int error = tp_limit_set(meter, limit != NULL ? limit : &(const tagpool_limit_t){0});
    if (error == 0)
        return 0;
    errno = -error;
    return -1;
}

/* A slot that other tags share cannot be limited for one of them. */
static struct tp_meter *limit_meter(tagpool_kind_t kind, tagpool_tag_t tag)
{
    struct tp_thread *thread = NULL;
    uint32_t slot = open_tag(kind, tag, &thread);
    if (tp_tag_is_shared(slot))
        errno = ENOMEM;
    return slot != TAGPOOL_SEGMENT_NO_SLOT && !tp_tag_is_shared(slot) ? &tp_tags[slot].meter : NULL;
}

int tagpool_limit_tag(tagpool_kind_t kind, tagpool_tag_t tag, const tagpool_limit_t *limit)
{
    struct tp_meter *meter = limit == NULL || limit_is_valid(limit, false) ? limit_meter(kind, tag) : NULL;
    return meter != NULL ? limit_set(meter, limit) : -1;
}

static bool pool_kind_is_valid(tagpool_kind_t kind)
{
    if (tp_pool_kind_is_known(kind))
        return true;
    errno = EINVAL;
    return false;
}

int tagpool_limit_pool(tagpool_kind_t kind, const tagpool_limit_t *limit)
{
    if (!pool_kind_is_valid(kind) || (limit != NULL && !limit_is_valid(limit, true)))
        return -1;
    tp_start_may_publish();
    tp_thread_self();
    return limit_set(&tp_limit_pools[kind], limit);
}

static int limit_state(struct tp_meter *meter, tagpool_limit_state_t *state)
{
    if (tp_limit_get(meter, state))
        return 0;
    errno = ENOENT;
    return -1;
}

int tagpool_limit_tag_state(tagpool_kind_t kind, tagpool_tag_t tag, tagpool_limit_state_t *state)
{
    tp_thread_self();
    if (!tp_pool_is_valid(kind, tag))
        return -1;
    return limit_state(&tp_tags[tp_tag_find(tag, tp_pool_layout(kind))].meter, state);
}

int tagpool_limit_pool_state(tagpool_kind_t kind, tagpool_limit_state_t *state)
{
    tp_thread_self();
    return pool_kind_is_valid(kind) ? limit_state(&tp_limit_pools[kind], state) : -1;
}

/* --- quota accounts ------------------------------------------------------------------------------------------- */

tagpool_quota_t *tagpool_quota_create(tagpool_quota_t *parent, const char *name, const tagpool_quota_limits_t *limits)
{
    size_t length = name != NULL ? strnlen(name, TAGPOOL_SEGMENT_QUOTA_NAME) : 0;
    if (length == 0 || length == TAGPOOL_SEGMENT_QUOTA_NAME) {
        errno = EINVAL;
        return NULL;
    }
    tp_start_may_publish();
    tp_thread_self();
    const uint64_t by_region[TAGPOOL_SEGMENT_REGIONS] = {
        [TAGPOOL_NONPAGED] = limits != NULL ? limits->nonpaged : 0,
        [TAGPOOL_PAGED] = limits != NULL ? limits->paged : 0,
    };
    struct tp_quota *quota = tp_quota_create(parent, name, by_region);
    if (quota == NULL)
        errno = ENOMEM;
    return quota;
}

void tagpool_quota_destroy(tagpool_quota_t *quota)
{
    tp_thread_self();
    if (quota != NULL)
        tp_quota_destroy(quota);
}

int tagpool_quota_attach(tagpool_quota_t *quota)
{
    struct tp_thread *thread = tp_thread_self();
    if (thread == NULL) {
        errno = ENOMEM;
        return -1;
    }
    tp_quota_attach(thread, quota);
    return 0;
}

int tagpool_quota_limit(tagpool_quota_t *quota, tagpool_kind_t kind, uint64_t limit)
{
    if (!pool_kind_is_valid(kind))
        return -1;
    tp_thread_self();
    tp_quota_set_limit(quota, kind, limit);
    return 0;
}

int tagpool_quota_stats(const tagpool_quota_t *quota, tagpool_kind_t kind, tagpool_quota_stats_t *stats)
{
    if (!pool_kind_is_valid(kind))
        return -1;
    tp_thread_self();
    tp_quota_read(quota, kind, stats);
    return 0;
}
