#include "shortcut.h"
#include "account.h"
#include "alloc.h"
#include "budget.h"
#include "limit.h"
#include "side.h"
#include "verify.h"
#include "watch.h"

/* --- allocate ------------------------------------------------------------------------------------------------- */

/* The watched page that a request is served from; NULL: none is at hand. */
TP_INLINE struct tp_page *shortcut_page(const struct tp_thread *thread, uint32_t slot, size_t bytes)
{
    const struct tp_heap *heap = thread->mixed[tp_tags[slot].layout + TP_LAYOUT_COUNT];
    if (TP_UNLIKELY(heap == NULL || bytes > TP_CLASS_MAX_SIZE))
        return NULL;
    struct tp_page *page = heap->page[tp_class_of(tp_tag_classes(slot), bytes)];
    return TP_LIKELY(page->free != NULL) ? page : NULL;
}

static void *shortcut_take(struct tp_thread *thread, struct tp_page *page, const struct tp_checked_request *request)
{
    size_t bytes = tp_checked_bytes(request->size);
    if (TP_UNLIKELY(tp_limit_is_near(request->slot) || !tp_limit_grow(&tp_tags[request->slot].meter, bytes)))
        return NULL;
    void *block = tp_page_pop(page);
    uint32_t index = tp_page_index(page, block);
    tp_side_give(page, index, request->slot, TP_ACCOUNT_NONE);
    tp_account_alloc(thread, request->slot, bytes);
    tp_verify_note_settled(page->region, request->size);
    return tp_watch_begin(page, index, block, request);
}

static void *shortcut_special(struct tp_thread *thread, const struct tp_checked_request *request,
                              struct tp_verify_plan plan)
{
    const struct tp_alloc_request special = {
        .slot = request->slot, .size = request->size, .alignment = 16, .call = *request->call, .face = request->face};
    plan.treatment = TP_TREAT_SPECIAL;
    plan.trace = TP_TRACE_DEEP;
    return tp_alloc_planned(thread, &special, plan);
}

static void *shortcut_checked(struct tp_thread *thread, const struct tp_checked_request *request,
                              struct tp_verify_plan plan)
{
    struct tp_page *page = shortcut_page(thread, request->slot, request->size + (request->bare ? 0 : TP_WATCH_ZONE));
    if (page == NULL)
        return NULL;
    if (plan.is_auto && tp_budget_allows(request->call, request->size))
        return shortcut_special(thread, request, plan);
    return shortcut_take(thread, page, request);
}

void *tp_shortcut_alloc(uint64_t key, size_t size, enum tagpool_report_face face, const struct tp_call *call)
{
    const struct tp_site_entry *entry = tp_site_find(tp_gate_self, key);
    uint32_t slot;
    if (entry == NULL || !tp_heap_is_cold(entry->heap, &slot) || !tp_tag_is_concerned(slot))
        return NULL;
    struct tp_verify_plan plan = tp_verify_settled(slot);
    if (plan.treatment == TP_TREAT_PLAIN)
        return NULL;
    const struct tp_checked_request request = {
        .slot = slot,
        .size = size,
        .alignment = 16,
        .face = face,
        .call = call,
        .trace = (enum tp_trace_level)plan.trace,
        .bare = plan.treatment == TP_TREAT_TRACK,
    };
    return shortcut_checked(tp_gate_self->thread, &request, plan);
}

/* --- free ----------------------------------------------------------------------------------------------------- */

/* The thread's own watched page that p lies on, or NULL. */
TP_INLINE struct tp_page *shortcut_own_page(const struct tp_gate *gate, const void *p)
{
    size_t unit = tp_unit_of(p);
    if (unit >= tp_space.unit_count)
        return NULL;
    uint64_t owner = tp_peek(&tp_space.owners[unit]);
    struct tp_page *page = &tp_space.pages[unit - (owner & TP_OWNER_BACK_MASK)];
    return owner != TP_OWNER_NONE && page->watched && tp_peek(&page->owner) == gate->id ? page : NULL;
}

bool tp_shortcut_free(void *p, const struct tp_checked_free *how)
{
    struct tp_gate *gate = tp_gate_self;
    struct tp_page *page = shortcut_own_page(gate, p);
    uint32_t index;
    if (page == NULL || !tp_page_find(page, p, &index))
        return false;
    uint32_t slot = page->side[index];
    struct tp_watch *watch = &page->watch[index];
    if ((slot & TP_SIDE_FREED) != 0 || slot == TAGPOOL_SEGMENT_NO_SLOT || watch->account != TP_ACCOUNT_NONE ||
        tp_limit_is_near(slot))
        return false;
    size_t bytes = tp_checked_bytes(watch->size);
    page->side[index] = (uint16_t)(slot | TP_SIDE_FREED);
    tp_watch_end(gate->thread, page, index, p, how);
    tp_account_free(gate->thread, slot, bytes);
    tp_limit_shrink(&tp_tags[slot].meter, bytes);
    tp_verify_note_freed(page->region, bytes);
    tp_watch_detain(gate->thread, page, index, p); /* the page may be somebody else's now */
    return true;
}
