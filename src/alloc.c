#include "alloc.h"
#include "account.h"
#include "fork.h"
#include "lock.h"
#include "mail.h"
#include "nonpaged.h"
#include "span.h"

#include <errno.h>
#include <string.h>

/* Requests beyond this cannot be served by any machine, and sums of sizes below it do not overflow. */
#define ALLOC_MAX ((size_t)1 << 46)

/* --- large blocks --------------------------------------------------------------------------------------------- */

static void *alloc_large_finish(struct tp_page *span, uint32_t slot, size_t size)
{
    span->start = tp_unit_address(tp_page_unit(span));
    span->slot = (uint16_t)slot;
    span->large_size = size;
    span->used = 1;
    tp_poke(&span->owner, TP_OWNER_NONE);
    tp_poke(&span->state, TP_UNIT_LARGE);
    __atomic_fetch_add(&tp_segment->touched_bytes, size, __ATOMIC_RELAXED);
    tp_account_alloc_direct(slot, size);
    tp_tag_charge(slot, (int64_t)size);
    tp_publish(&tp_space.owners[tp_page_unit(span)], TP_OWNER_ASK);
    return span->start;
}

/* M1 */
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

/* Room and, if nonpaged, locked memory for a block that large_grow allowed; NULL takes that back. */
static struct tp_page *large_span(uint32_t slot, size_t size, size_t units, size_t align_units)
{
    struct tp_page *span = tp_span_alloc(tp_tags[slot].region, units, align_units);
    if (span != NULL && (span->region == 1 || tp_nonpaged_lock(tp_unit_address(tp_page_unit(span)), size)))
        return span;
    if (span != NULL)
        tp_span_free(span);
    large_shrink(slot, size);
    return NULL;
}

/* is_new tells the caller whether the block reads as zero. */
static void *alloc_large(uint32_t slot, size_t size, size_t alignment, bool *is_new)
{
    if (size > ALLOC_MAX || alignment > ALLOC_MAX)
        return NULL;
    size = tp_round_up(tp_max(size, 1), TP_OS_PAGE);
    size_t units = tp_round_up(size, TP_UNIT) >> TP_UNIT_SHIFT;
    size_t align_units = tp_max(alignment >> TP_UNIT_SHIFT, 1);
    struct tp_page *span = large_grow(slot, size) ? large_span(slot, size, units, align_units) : NULL;
    if (span == NULL)
        return NULL;
    *is_new = span->is_new;
    span->is_new = 0;
    return alloc_large_finish(span, slot, size);
}

static __attribute__((noreturn, cold)) void stop_middle(const struct tp_page *span, const void *p)
{
    tp_stop(TP_CALLER_MIDDLE, (uintptr_t)p, (uintptr_t)span->start, (uintptr_t)((const char *)p - span->start), p,
            tp_tags[span->slot].tag);
}

/* Near a limit a free is counted together with what is held (M2). */
static bool free_begin(uint32_t slot)
{
    bool near = tp_limit_is_near(slot);
    if (TP_UNLIKELY(near))
        tp_limit_give_begin();
    return near;
}

static void free_end(bool near, uint32_t slot, size_t size)
{
    if (TP_UNLIKELY(near))
        tp_limit_give_end(slot, size);
}

static void free_large(struct tp_page *span, void *p)
{
    uint64_t *word = &tp_space.owners[tp_page_unit(span)];
    if (p != span->start)
        stop_middle(span, p);
    /* Two threads may free it at once: one of them is wrong, and is told. */
    if (__atomic_exchange_n(word, TP_OWNER_NONE, __ATOMIC_ACQ_REL) == TP_OWNER_NONE)
        tp_stop(TP_CALLER_FREED_TWICE, 0, tp_tags[span->slot].tag, (uintptr_t)p, p, tp_tags[span->slot].tag);
    bool near = free_begin(span->slot);
    tp_account_free_direct(span->slot, span->large_size);
    free_end(near, span->slot, span->large_size);
    large_shrink(span->slot, span->large_size);
    tp_tag_charge(span->slot, -(int64_t)span->large_size);
    __atomic_fetch_sub(&tp_segment->touched_bytes, span->large_size, __ATOMIC_RELAXED);
    if (span->region == 0)
        tp_nonpaged_unlock(span->start, span->large_size);
    span->used = 0;
    for (uint32_t i = 0; i < span->units; i++)
        span[i].touched_pages = TP_UNIT >> TP_OS_PAGE_SHIFT;
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
        if (grown || !tp_limit_is_near(span->slot))
            return grown;
    }
    return tp_limit_take(span->slot, size - span->large_size, TP_PRIORITY_NORMAL, resize_take, &resize) != NULL;
}

static bool resize_large(struct tp_page *span, size_t size)
{
    size = tp_round_up(size, TP_OS_PAGE);
    if (size <= span->large_size)
        return size >= span->large_size / 2;
    return span->region == 1 && size <= ALLOC_MAX && resize_grow(span, size);
}

/* --- allocate ------------------------------------------------------------------------------------------------- */

static unsigned alloc_class(uint32_t slot, size_t size, size_t alignment)
{
    if (alignment > 16)
        return tp_class_of_aligned(tp_tag_classes(slot), size, alignment);
    return size <= TP_CLASS_MAX_SIZE ? tp_class_of(tp_tag_classes(slot), size) : TP_CLASS_LIMIT;
}

static void *alloc_from_orphans(uint32_t slot, unsigned class)
{
    tp_lock(TP_LOCK_ORPHANS);
    void *block = tp_heap_alloc(tp_thread_orphans, slot, class);
    tp_unlock(TP_LOCK_ORPHANS);
    return block;
}

/* A thread without a record, or one that finds no unit for a page of its own, shares the orphans' pages. */
static void *alloc_class_block(struct tp_thread *thread, uint32_t slot, unsigned class)
{
    void *block = TP_LIKELY(thread != NULL) ? tp_heap_alloc(thread, slot, class) : NULL;
    return TP_LIKELY(block != NULL) ? block : alloc_from_orphans(slot, class);
}

/* A request on its way: what is taken for it, maybe under a lock. */
struct alloc_step {
    struct tp_thread *thread;
    const struct tp_request *request;
    unsigned class; /* TP_CLASS_LIMIT: a large block */
    bool is_new;    /* reads as zero; large blocks alone do */
};

static void *alloc_step_take(void *argument)
{
    struct alloc_step *step = argument;
    const struct tp_request *request = step->request;
    if (step->class == TP_CLASS_LIMIT)
        return alloc_large(request->slot, request->size, request->alignment, &step->is_new);
    return alloc_class_block(step->thread, request->slot, step->class);
}

/* Block bytes, before there is a block. */
static size_t alloc_step_bytes(const struct alloc_step *step)
{
    const struct tp_request *request = step->request;
    return step->class == TP_CLASS_LIMIT ? tp_round_up(tp_max(request->size, 1), TP_OS_PAGE)
                                         : tp_tag_classes(request->slot)->size[step->class];
}

/* Again where a limit came near meanwhile: it is asked then. */
static void *alloc_step_run(struct alloc_step *step)
{
    const struct tp_request *request = step->request;
    if (TP_LIKELY(!tp_limit_must_ask(request->slot, request->priority))) {
        void *block = alloc_step_take(step);
        if (TP_LIKELY(block != NULL) || !tp_limit_must_ask(request->slot, request->priority))
            return block;
    }
    return tp_limit_take(request->slot, alloc_step_bytes(step), request->priority, alloc_step_take, step);
}

void *tp_alloc_requested(struct tp_thread *thread, const struct tp_request *request)
{
    struct alloc_step step = {thread, request, alloc_class(request->slot, request->size, request->alignment), false};
    tp_fork_note_slow_call();
    void *block = alloc_step_run(&step);
    if (block == NULL)
        errno = ENOMEM;
    else if ((request->flags & TP_ALLOC_ZERO) != 0 && !step.is_new)
        memset(block, 0, alloc_step_bytes(&step));
    return block;
}

void *tp_alloc(struct tp_thread *thread, uint32_t slot, size_t size, size_t alignment)
{
    const struct tp_request request = {.slot = slot, .size = size, .alignment = alignment};
    return tp_alloc_requested(thread, &request);
}

void *tp_alloc_zeroed(struct tp_thread *thread, uint32_t slot, size_t size)
{
    const struct tp_request request = {.slot = slot, .flags = TP_ALLOC_ZERO, .size = size, .alignment = 16};
    return tp_alloc_requested(thread, &request);
}

void *tp_alloc_known(uint64_t key, size_t size)
{
    uint32_t slot;
    struct tp_site_entry *entry = tp_site_find(tp_gate_self, key);
    if (entry == NULL || size > TP_CLASS_MAX_SIZE || tp_heap_is_cold(entry->heap, &slot))
        return NULL;
    tp_fork_note_slow_call();
    return tp_heap_alloc_warm(entry->heap, tp_class_of(tp_tag_classes(entry->heap->slot), size));
}

/* --- look up -------------------------------------------------------------------------------------------------- */

/* The page or large block that holds an address; NULL when nothing is allocated there. */
static struct tp_page *block_page(const void *p)
{
    size_t unit = tp_unit_of(p);
    if (unit >= tp_space.unit_count)
        return NULL;
    uint64_t owner = tp_peek(&tp_space.owners[unit]);
    return owner == TP_OWNER_NONE ? NULL : &tp_space.pages[unit - (owner & TP_OWNER_BACK_MASK)];
}

static struct tp_page *block_page_or_stop(const void *p)
{
    struct tp_page *page = block_page(p);
    if (TP_LIKELY(page != NULL))
        return page;
    bool in_pool = tp_unit_of(p) < tp_space.unit_count;
    tp_stop(in_pool ? TP_CALLER_INVALID : TP_CALLER_NO_POOL, (uintptr_t)p, 0, 0, p, 0);
}

/* What is known of a block by its place alone. */
static struct tp_block_info block_info(struct tp_page *page, uint32_t index)
{
    struct tp_block_info info = {page, page->block_size, page->slot};
    if (page->state == TP_UNIT_LARGE)
        info.size = page->large_size;
    else if (tp_page_is_mixed(page))
        info.slot = tp_heap_side_peek(page, index);
    return info;
}

struct tp_block_info tp_block_look_up(const void *block)
{
    struct tp_page *page = block_page_or_stop(block);
    if (page->state != TP_UNIT_LARGE)
        return block_info(page, tp_page_index(page, block));
    if (block != page->start)
        stop_middle(page, block);
    return block_info(page, 0);
}

bool tp_block_find(const void *block, struct tp_block_info *info)
{
    struct tp_page *page = block != NULL ? block_page(block) : NULL;
    uint32_t index = 0;
    if (page == NULL)
        return false;
    if (page->state == TP_UNIT_LARGE ? block != page->start : !tp_page_find(page, block, &index))
        return false;
    *info = block_info(page, index);
    return info->slot != TAGPOOL_SEGMENT_NO_SLOT;
}

bool tp_block_resize(const struct tp_block_info *info, size_t size)
{
    if (info->page->state == TP_UNIT_LARGE)
        return size > TP_CLASS_MAX_SIZE && resize_large(info->page, size);
    return size <= info->size && (size >= info->size / 2 || info->size <= 64);
}

/* --- free ----------------------------------------------------------------------------------------------------- */

/* One block less, in the books of the thread that frees it. */
static void free_count(struct tp_thread *thread, uint32_t slot, const struct tp_page *page)
{
    bool near = free_begin(slot);
    if (thread == NULL)
        tp_account_free_direct(slot, page->block_size);
    else
        tp_account_free(thread, slot, page->block_size);
    free_end(near, slot, page->block_size);
}

/* A block of a mixed page leaves its slot. */
static void free_mixed(struct tp_thread *thread, struct tp_page *page, uint32_t index, const void *p)
{
    uint32_t slot = tp_heap_side_take(page, index, p);
    free_count(thread, slot, page);
    tp_limit_shrink(&tp_tags[slot].meter, page->block_size);
}

static void free_own(struct tp_thread *thread, struct tp_page *page, void *p)
{
    uint32_t index = tp_page_index(page, p);
    tp_page_check_carved(page, index, p);
    if (tp_page_is_mixed(page)) {
        free_mixed(thread, page, index, p);
    } else {
        bool near = free_begin(page->slot);
        tp_page_count_free(page);
        free_end(near, page->slot, page->block_size);
    }
    tp_heap_put(page, p, p, 1);
}

static void free_foreign(struct tp_thread *thread, struct tp_page *page, void *p)
{
    uint32_t index = tp_page_index(page, p);
    if (tp_page_is_mixed(page))
        free_mixed(thread, page, index, p);
    else
        free_count(thread, page->slot, page);
    if (TP_UNLIKELY(thread == NULL))
        tp_mail_deliver(page, p);
    else
        tp_mail_send(thread, page, p);
}

/* No call on this way changes errno. */
static void free_block(void *p)
{
    struct tp_thread *thread = tp_thread_self();
    struct tp_page *page = block_page_or_stop(p);
    if (page->state == TP_UNIT_LARGE)
        free_large(page, p);
    else if (thread != NULL && tp_peek(&page->owner) == thread->id)
        free_own(thread, page, p);
    else
        free_foreign(thread, page, p);
}

void tp_free_slow(void *block)
{
    if (block != NULL)
        free_block(block);
}
