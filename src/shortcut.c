#include "shortcut.h"
#include "account.h"
#include "ahead.h"
#include "alloc.h"
#include "budget.h"
#include "figures.h"
#include "limit.h"
#include "sample.h"
#include "side.h"
#include "track.h"
#include "verify.h"
#include "watch.h"
#include "watched.h"

/* --- ordinary blocks ------------------------------------------------------------------------------------------ */

/* Tracked, or nothing but no sample. */
TP_INLINE void *shortcut_ordinary(struct tp_gate *gate, uint32_t slot, size_t size, struct tp_call call)
{
    const struct tp_heap *heap = gate->thread->slots[slot].heap;
    struct tagpool_segment_verifier *figures = tp_figures_own(gate);
    if (TP_UNLIKELY(heap == NULL || figures == NULL || size >= TP_OS_PAGE || tp_limit_is_near(slot)))
        return NULL;
    struct tp_page *page = heap->page[tp_class_of(tp_tag_classes(slot), size)];
    enum tp_trace_level trace = (enum tp_trace_level)tp_verify_settled[slot].trace;
    if (TP_UNLIKELY(page->tracks == NULL && trace != TP_TRACE_NONE))
        return NULL;
    void *block = tp_page_pop(page);
    if (TP_UNLIKELY(block == NULL))
        return NULL;
    tp_page_count_alloc(page);
    tp_figures_add_ordinary(figures);
    if (page->tracks != NULL)
        tp_track_write(page, tp_page_index_near(page, block), block,
                       tp_track_made(slot, tp_trace_take(&call, trace), size));
    return block;
}

/* --- watched blocks --------------------------------------------------------------------------------------------- */

/* The watched page that a request is served from; NULL: none is at hand. */
TP_INLINE struct tp_page *shortcut_page(const struct tp_thread *thread, uint32_t slot, size_t bytes)
{
    const struct tp_heap *heap = thread->mixed[tp_tags[slot].layout + TP_LAYOUT_COUNT];
    if (TP_UNLIKELY(heap == NULL || bytes >= TP_OS_PAGE))
        return NULL;
    struct tp_page *page = heap->page[tp_class_of(tp_tag_classes(slot), bytes)];
    return TP_LIKELY(page->free != NULL) ? page : NULL;
}

static void *shortcut_take(struct tp_gate *gate, struct tp_page *page, uint32_t slot, size_t size, struct tp_call call,
                           enum tagpool_report_face face)
{
    size_t bytes = tp_checked_bytes(size);
    struct tp_thread *thread = gate->thread;
    struct tp_thread_slot *entry = &thread->slots[slot];
    struct tagpool_segment_verifier *figures = tp_figures_own(gate);
    if (TP_UNLIKELY(figures == NULL || entry->tally == NULL || tp_limit_is_near(slot) ||
                    !tp_ahead_draw(entry, slot, bytes)))
        return NULL;
    char *block = tp_page_pop(page);
    if (page->free != NULL)
        tp_prefetch_for_write(&page->watch[tp_page_index_near(page, page->free)]);
    uint32_t index = tp_page_index_near(page, block);
    tp_poke(&page->watch[index].slot, (uint16_t)slot);
    tp_account_alloc_in(entry->tally, bytes);
    tp_figures_add_watched(figures, page->region, bytes);
    const struct tp_watched_start start = {(uint32_t)size,
                                           tp_trace_take(&call, (enum tp_trace_level)tp_verify_settled[slot].trace),
                                           thread->kernel_id, (uint8_t)face, false};
    return tp_watched_begin(page, index, block, start);
}

static TP_NOINLINE void *shortcut_special(struct tp_thread *thread, uint32_t slot, size_t size, struct tp_call call,
                                          enum tagpool_report_face face)
{
    const struct tp_alloc_request special = {.slot = slot, .size = size, .alignment = 16, .call = call, .face = face};
    struct tp_verify_plan plan = tp_verify_settled[slot];
    plan.treatment = TP_TREAT_SPECIAL;
    plan.trace = TP_TRACE_DEEP;
    return tp_alloc_planned(thread, &special, plan);
}

static void *shortcut_watched(struct tp_gate *gate, uint32_t slot, size_t size, struct tp_call call,
                              enum tagpool_report_face face)
{
    struct tp_page *page = shortcut_page(gate->thread, slot, tp_watch_room(size));
    if (TP_UNLIKELY(page == NULL))
        return NULL;
    enum tp_budget_verdict verdict = tp_verify_settled[slot].is_auto ? tp_budget_decide(&call, size) : TP_BUDGET_WATCH;
    if (TP_LIKELY(verdict == TP_BUDGET_WATCH))
        return shortcut_take(gate, page, slot, size, call, face);
    return verdict == TP_BUDGET_LEAVE ? shortcut_ordinary(gate, slot, size, call)
                                      : shortcut_special(gate->thread, slot, size, call, face);
}

/* --- allocate ------------------------------------------------------------------------------------------------- */

void *tp_shortcut_alloc(uint64_t key, size_t size, enum tagpool_report_face face, struct tp_call call)
{
    struct tp_gate *gate = tp_gate_self;
    const struct tp_site_entry *entry = tp_site_find(gate, key);
    uint32_t slot;
    if (TP_UNLIKELY(entry == NULL || !tp_heap_is_cold(entry->heap, &slot)))
        return NULL;
    struct tp_verify_plan plan = tp_verify_settled[slot];
    if (TP_UNLIKELY(!plan.is_settled || (plan.is_sampled && tp_sample_is_near(gate))))
        return NULL;
    void *block = plan.treatment == TP_TREAT_PLAIN ? shortcut_ordinary(gate, slot, size, call)
                                                   : shortcut_watched(gate, slot, size, call, face);
    if (plan.is_sampled && block != NULL)
        tp_sample_pass(gate);
    return block;
}

/* --- free ----------------------------------------------------------------------------------------------------- */

/* The thread's own watched page that p lies on, or NULL. */
TP_INLINE struct tp_page *shortcut_own_page(const struct tp_gate *gate, const void *p)
{
    struct tp_page *page = tp_page_at(p);
    return page != NULL && page->watched && tp_peek(&page->owner) == gate->id ? page : NULL;
}

bool tp_shortcut_free(void *p, enum tagpool_report_face face, size_t size, struct tp_call call)
{
    struct tp_gate *gate = tp_gate_self;
    struct tp_page *page = shortcut_own_page(gate, p);
    uint32_t index;
    if (page == NULL || TP_UNLIKELY(!tp_page_find(page, p, &index)))
        return false;
    struct tp_watch *watch = &page->watch[index];
    uint32_t slot = watch->slot;
    struct tp_thread_slot *entry = &gate->thread->slots[slot % TP_SLOT_COUNT];
    struct tagpool_segment_verifier *figures = tp_figures_own(gate);
    if (TP_UNLIKELY((slot & TP_SIDE_FREED) != 0 || slot == TAGPOOL_SEGMENT_NO_SLOT || page->accounts != NULL ||
                    figures == NULL || entry->tally == NULL || tp_limit_is_near(slot)))
        return false;
    size_t bytes = tp_checked_bytes(watch->size);
    tp_checked_stop_unless_match(p, slot, watch->size, watch->face, &(struct tp_checked_free){face, &call, size});
    watch->slot = (uint16_t)(slot | TP_SIDE_FREED);
    tp_watched_end(page, index, p, tp_trace_take(&call, TP_TRACE_FEW), gate->thread->kernel_id);
    tp_account_free_in(entry->tally, bytes);
    tp_ahead_give(entry, slot, bytes);
    tp_figures_add_freed(figures, page->region, bytes);
    tp_watch_detain(gate->thread, page, index, p); /* the page may be somebody else's now */
    return true;
}
