#include "large.h"
#include "account.h"
#include "limit.h"
#include "nonpaged.h"
#include "os.h"
#include "quota.h"
#include "span.h"

#include <string.h>

/* A hardened block up to this keeps its memory when it is freed. */
#define LARGE_KEPT TP_MIB

static void *large_finish(struct tp_page *span, const struct tp_large_request *request, size_t size)
{
    span->start = tp_unit_address(tp_page_unit(span));
    span->slot = (uint16_t)request->slot;
    span->account = (uint16_t)request->account;
    span->large_size = size;
    span->large_asked = size;
    span->large_track = (struct tp_track){0};
    span->used = 1;
    tp_poke(&span->owner, TP_OWNER_NONE);
    tp_poke(&span->state, TP_UNIT_LARGE);
    __atomic_fetch_add(&tp_segment->touched_bytes, size, __ATOMIC_RELAXED);
    tp_account_alloc_direct(request->slot, size);
    tp_tag_charge(request->slot, (int64_t)size);
    tp_publish(&tp_space.owners[tp_page_unit(span)], TP_OWNER_ASK);
    return span->start;
}

/* J1 */
static bool large_grow(uint32_t slot, size_t size)
{
    if (!tp_limit_grow(&tp_tags[slot].meter, size))
        return false;
    if (tp_limit_grow(tp_limit_pool_of(slot), size))
        return true;
    tp_limit_shrink(&tp_tags[slot].meter, size);
    return false;
}

static void large_shrink(uint32_t slot, size_t size)
{
    tp_limit_shrink(&tp_tags[slot].meter, size);
    tp_limit_shrink(tp_limit_pool_of(slot), size);
}

/*
 * Take back a span whose first `size` bytes may have memory.  Where it is longer than that it is made of huge pages:
 * their memory goes back to the system at once, for kept it would count in full, and be copied when they are made anew.
 */
static void large_give(struct tp_page *span, size_t size)
{
    char *start = tp_unit_address(tp_page_unit(span));
    bool is_longer = ((size_t)span->units << TP_UNIT_SHIFT) - size >= TP_UNIT;
    span->is_new = is_longer && tp_os_purge(start, size, tp_space_backing) == 0;
    for (uint32_t i = 0; i < span->units; i++)
        span[i].touched_pages = span->is_new ? 0 : TP_UNIT >> TP_OS_PAGE_SHIFT;
    tp_span_free(span);
}

/*
 * Have huge pages behind a span, whatever is there now, and keep what `size` bytes need of them: the frames of a huge
 * page stay together when a part of it is given back.  True: the system had them all.
 */
static bool large_make_huge(struct tp_page *span, size_t size)
{
    char *start = tp_unit_address(tp_page_unit(span));
    size_t length = (size_t)span->units << TP_UNIT_SHIFT;
    for (size_t offset = 0; offset < length; offset += TP_HUGE_PAGE)
        tp_os_populate(start + offset, TP_OS_PAGE);
    bool is_huge = tp_os_collapse(start, length) == 0;
    if (length > size)
        tp_os_purge(start + size, length - size, tp_space_backing);
    return is_huge;
}

/* Room for a block, and memory that is huge or locked if it is to be. */
static struct tp_page *large_span(const struct tp_large_request *request, size_t size)
{
    size_t whole = request->is_huge != NULL ? TP_HUGE_PAGE : TP_UNIT;
    size_t units = tp_round_up(size, whole) >> TP_UNIT_SHIFT;
    size_t align_units = tp_max(request->alignment >> TP_UNIT_SHIFT, 1);
    struct tp_page *span = tp_span_alloc(tp_tags[request->slot].region, units, align_units);
    if (span == NULL)
        return NULL;
    if (request->is_huge != NULL) {
        span->is_new = 0;
        *request->is_huge = large_make_huge(span, size);
    }
    if (span->region == 1 || tp_nonpaged_lock(tp_unit_address(tp_page_unit(span)), size))
        return span;
    large_give(span, size);
    return NULL;
}

void *tp_large_alloc(const struct tp_large_request *request, bool *is_new)
{
    size_t size = tp_large_bytes(request->size);
    if (request->size > TP_LARGE_MAX || request->alignment > TP_LARGE_MAX || !large_grow(request->slot, size))
        return NULL;
    struct tp_page *span = large_span(request, size);
    if (span == NULL) {
        large_shrink(request->slot, size);
        return NULL;
    }
    *is_new = span->is_new;
    span->is_new = 0;
    return large_finish(span, request, size);
}

void tp_large_stop_middle(const struct tp_page *span, const void *p)
{
    tp_stop(TP_CALLER_MIDDLE, (uintptr_t)p, (uintptr_t)span->start, (uintptr_t)((const char *)p - span->start), p,
            tp_tags[span->slot].tag);
}

void tp_large_end(struct tp_page *span, void *p)
{
    uint64_t *word = &tp_space.owners[tp_page_unit(span)];
    if (p != span->start)
        tp_large_stop_middle(span, p);
    /* Two threads may free it at once: one of them is wrong, and is told. */
    if (__atomic_exchange_n(word, TP_OWNER_NONE, __ATOMIC_ACQ_REL) == TP_OWNER_NONE)
        tp_stop(TP_CALLER_FREED_TWICE, 0, tp_tags[span->slot].tag, (uintptr_t)p, p, tp_tags[span->slot].tag);
    /* A child of a fork at this moment must not count the block as live. */
    tp_publish(&span->state, TP_UNIT_UNUSED);
    bool near = tp_limit_free_begin(span->slot);
    tp_account_free_direct(span->slot, span->large_size);
    tp_limit_free_end(near, span->slot, span->large_size);
    if (span->account != TP_ACCOUNT_NONE)
        tp_quota_uncharge(span->account, span->region, span->large_size);
    large_shrink(span->slot, span->large_size);
    tp_tag_charge(span->slot, -(int64_t)span->large_size);
    __atomic_fetch_sub(&tp_segment->touched_bytes, span->large_size, __ATOMIC_RELAXED);
    if (span->region == 0)
        tp_nonpaged_unlock(span->start, span->large_size);
    span->used = 0;
}

void tp_large_free(struct tp_page *span, void *p)
{
    tp_large_end(span, p);
    large_give(span, span->large_size);
}

/* Locked memory stays where it is; and pages that come anew take longer than zeros, where there are not too many. */
void tp_large_wipe(struct tp_page *span)
{
    size_t size = (size_t)span->units << TP_UNIT_SHIFT;
    span->is_new = size > LARGE_KEPT && tp_os_purge(span->start, size, tp_space_backing) == 0;
    if (!span->is_new)
        memset(span->start, 0, span->large_size);
}

void tp_large_give_wiped(struct tp_page *span)
{
    if (span->is_new)
        tp_os_purge(span->start, (size_t)span->units << TP_UNIT_SHIFT, tp_space_backing);
    for (uint32_t i = 0; i < span->units; i++)
        span[i].touched_pages = span->is_new ? 0 : TP_UNIT >> TP_OS_PAGE_SHIFT;
    tp_span_free(span);
}

/* A large block on its way to another size. */
struct large_resize {
    struct tp_page *span;
    size_t size;
};

static void resize_note(struct tp_page *span, size_t size)
{
    size_t old = span->large_size;
    span->large_size = size;
    span->large_asked = size;
    tp_account_resize_direct(span->slot, old, size);
    tp_tag_charge(span->slot, (int64_t)(size - old));
    __atomic_fetch_add(&tp_segment->touched_bytes, size - old, __ATOMIC_RELAXED);
}

/* The span, or NULL. */
static void *resize_take(void *argument)
{
    const struct large_resize *resize = argument;
    struct tp_page *span = resize->span;
    size_t units = tp_round_up(resize->size, TP_UNIT) >> TP_UNIT_SHIFT;
    size_t more = resize->size - span->large_size;
    if (!large_grow(span->slot, more))
        return NULL;
    if (units > span->units && !tp_span_extend(span, units)) {
        large_shrink(span->slot, more);
        return NULL;
    }
    resize_note(span, resize->size);
    return span;
}

static bool resize_grow(struct tp_page *span, size_t size)
{
    struct large_resize resize = {span, size};
    if (!tp_limit_is_near(span->slot)) {
        bool grown = resize_take(&resize) != NULL;
        if (grown || !tp_limit_exists(span->slot))
            return grown;
    }
    return tp_limit_take(span->slot, size - span->large_size, TP_PRIORITY_NORMAL, resize_take, &resize) != NULL;
}

/* The block's account pays, whoever asks. */
static bool resize_grow_charged(struct tp_page *span, size_t size)
{
    size_t more = size - span->large_size;
    if (!tp_quota_charge_more(span->account, span->region, more))
        return false;
    if (resize_grow(span, size))
        return true;
    tp_quota_charge_less(span->account, span->region, more);
    return false;
}

bool tp_large_resize(struct tp_page *span, size_t size)
{
    size = tp_large_bytes(size);
    if (size <= span->large_size)
        return size >= span->large_size / 2;
    if (span->region == 0 || size > TP_LARGE_MAX)
        return false;
    return span->account != TP_ACCOUNT_NONE ? resize_grow_charged(span, size) : resize_grow(span, size);
}
