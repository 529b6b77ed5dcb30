#include "alloc.h"
#include "budget.h"
#include "figures.h"
#include "fork.h"
#include "harden.h"
#include "large.h"
#include "lock.h"
#include "quota.h"
#include "special.h"
#include "track.h"
#include "verify.h"
#include "watch.h"

#include <errno.h>
#include <string.h>

/* --- allocate ------------------------------------------------------------------------------------------------- */

static unsigned alloc_class(uint32_t slot, size_t size, size_t alignment)
{
    if (alignment > 16)
        return tp_class_of_aligned(tp_tag_classes(slot), size, alignment);
    return size <= TP_CLASS_MAX_SIZE ? tp_class_of(tp_tag_classes(slot), size) : TP_CLASS_LIMIT;
}

static void *alloc_from_heap(struct tp_thread *thread, uint32_t slot, unsigned class, uint32_t account)
{
    return TP_LIKELY(account == TP_ACCOUNT_NONE) ? tp_heap_alloc(thread, slot, class)
                                                 : tp_heap_alloc_charged(thread, slot, class, account);
}

static void *alloc_from_orphans(uint32_t slot, unsigned class, uint32_t account)
{
    tp_lock(TP_LOCK_ORPHANS);
    void *block = alloc_from_heap(tp_thread_orphans, slot, class, account);
    tp_unlock(TP_LOCK_ORPHANS);
    return block;
}

/* A thread without a record, or one that finds no unit for a page of its own, shares the orphans' pages. */
static void *alloc_class_block(struct tp_thread *thread, uint32_t slot, unsigned class, uint32_t account)
{
    void *block = TP_LIKELY(thread != NULL) ? alloc_from_heap(thread, slot, class, account) : NULL;
    return TP_LIKELY(block != NULL) ? block : alloc_from_orphans(slot, class, account);
}

/* What a request takes of a block: hardened ones have something behind their contents. */
static size_t alloc_room(const struct tp_alloc_request *request)
{
    return request->size + tp_seal_bytes();
}

/* A request on its way: what is taken for it, maybe under a lock. */
struct alloc_step {
    struct tp_thread *thread;
    const struct tp_alloc_request *request;
    unsigned class; /* TP_CLASS_LIMIT: a large block */
    bool is_new;    /* is zero where it has to be */
    bool *is_huge;  /* as in struct tp_large_request */
    struct tp_verify_plan plan;
    bool is_refused; /* the plan's treatment was not to be had, and an ordinary block will do */
};

/* --- checked blocks ------------------------------------------------------------------------------------------- */

static struct tp_checked_request alloc_checked(const struct alloc_step *step)
{
    const struct tp_alloc_request *request = step->request;
    return (struct tp_checked_request){
        .slot = request->slot,
        .account = request->account,
        .size = request->size,
        .alignment = request->alignment,
        .face = request->face,
        .call = &request->call,
        .trace = (enum tp_trace_level)step->plan.trace,
        .zero = (request->flags & TP_ALLOC_ZERO) != 0,
        .under = step->plan.under,
        .exact = step->plan.exact,
    };
}

/* Where special pool refuses, patterns are the next best. */
static void *alloc_step_take_checked(struct alloc_step *step)
{
    const struct tp_checked_request checked = alloc_checked(step);
    void *block = NULL;
    enum tp_treatment treatment = (enum tp_treatment)step->plan.treatment;
    if (treatment == TP_TREAT_SPECIAL) {
        uint64_t began = tp_budget_begin();
        block = tp_special_alloc(step->thread, &checked);
        tp_budget_end(began);
        if (block == NULL)
            tp_figures_note_refusal();
    }
    if (block == NULL) {
        treatment = TP_TREAT_WATCH;
        block = tp_watch_alloc(step->thread, &checked);
    }
    step->is_new = block != NULL;
    step->is_refused = block == NULL;
    if (block != NULL)
        tp_figures_note_made(treatment == TP_TREAT_SPECIAL, tp_tags[checked.slot].region,
                             tp_checked_bytes(checked.size));
    return block;
}

/* --- hardened blocks ------------------------------------------------------------------------------------------ */

/* Blocks of no bytes are guards all over. */
static void alloc_plan_zero_bytes(struct tp_verify_plan *plan)
{
    if (plan->treatment == TP_TREAT_PLAIN)
        plan->treatment = TP_TREAT_SPECIAL;
}

static void *alloc_step_seal(const struct alloc_step *step, char *block)
{
    const struct tp_alloc_request *request = step->request;
    if (block != NULL && tp_seal_is_on())
        tp_seal_close(block, tp_tag_classes(request->slot)->size[step->class], request->size, request->face);
    return block;
}

static void *alloc_step_seal_large(const struct alloc_step *step, char *block)
{
    if (block != NULL && tp_seal_is_on() && step->is_huge == NULL)
        tp_harden_make_large(&tp_space.pages[tp_unit_of(block)], step->request->size, step->request->face);
    return block;
}

/* --- one step ------------------------------------------------------------------------------------------------- */

static size_t alloc_step_room(const struct alloc_step *step)
{
    return step->is_huge == NULL ? alloc_room(step->request) : step->request->size;
}

static void *alloc_step_take_ordinary(struct alloc_step *step)
{
    const struct tp_alloc_request *request = step->request;
    if (step->class != TP_CLASS_LIMIT)
        return alloc_step_seal(step, alloc_class_block(step->thread, request->slot, step->class, request->account));
    const struct tp_large_request large = {request->slot, request->account, alloc_step_room(step), request->alignment,
                                           step->is_huge};
    return alloc_step_seal_large(step, tp_large_alloc(&large, &step->is_new));
}

/* Also where nothing is to be remembered: of an earlier block something may be (K1). */
static void alloc_step_track(const struct alloc_step *step, void *block)
{
    const struct tp_alloc_request *request = step->request;
    uint32_t stack = tp_trace_take(&request->call, (enum tp_trace_level)step->plan.trace);
    tp_track_note(tp_page_at(block), block, request->slot, stack, request->size);
}

static void *alloc_step_take(void *argument)
{
    struct alloc_step *step = argument;
    if (TP_UNLIKELY(step->plan.treatment != TP_TREAT_PLAIN))
        return alloc_step_take_checked(step);
    void *block = alloc_step_take_ordinary(step);
    if (TP_UNLIKELY(step->plan.is_counted) && block != NULL)
        alloc_step_track(step, block);
    return block;
}

/* Where memory is scarce, what is kept from use is given up. */
static void *alloc_step_take_hard(struct alloc_step *step)
{
    void *block = alloc_step_take(step);
    if (TP_LIKELY(block != NULL) || !tp_seal_is_on() || step->thread == NULL)
        return block;
    tp_harden_flush(step->thread);
    return alloc_step_take(step);
}

/* Block bytes, before there is a block. */
static size_t alloc_step_bytes(const struct alloc_step *step)
{
    const struct tp_alloc_request *request = step->request;
    if (TP_UNLIKELY(step->plan.treatment != TP_TREAT_PLAIN))
        return tp_checked_bytes(request->size);
    return step->class == TP_CLASS_LIMIT ? tp_large_bytes(alloc_step_room(step))
                                         : tp_tag_classes(request->slot)->size[step->class];
}

/* Again where a limit came near meanwhile: it is asked then. */
static void *alloc_step_run(struct alloc_step *step)
{
    const struct tp_alloc_request *request = step->request;
    void *block = NULL;
    if (TP_LIKELY(!tp_limit_must_ask(request->slot, request->priority)))
        block = alloc_step_take_hard(step);
    if (block == NULL && tp_limit_exists(request->slot)) {
        step->is_refused = false; /* what a limit refuses is refused altogether */
        block = tp_limit_take(request->slot, alloc_step_bytes(step), request->priority, alloc_step_take, step);
    }
    if (block == NULL)
        errno = ENOMEM;
    return block;
}

static struct tp_verify_plan alloc_plan(const struct tp_alloc_request *request)
{
    if (TP_LIKELY(!tp_tag_is_concerned(request->slot)))
        return (struct tp_verify_plan){0};
    return tp_verify_plan(request->slot, request->size, &request->call);
}

static struct alloc_step alloc_step_begin(struct tp_thread *thread, const struct tp_alloc_request *request,
                                          struct tp_verify_plan plan)
{
    unsigned class = alloc_class(request->slot, alloc_room(request), request->alignment);
    if (TP_UNLIKELY(tp_seal_is_on()) && request->size == 0)
        alloc_plan_zero_bytes(&plan);
    return (struct alloc_step){.thread = thread, .request = request, .class = class, .plan = plan};
}

/* What no machine has is charged to nobody, not for a moment; nor is what is to fail. */
static bool alloc_is_possible(const struct alloc_step *step)
{
    if (step->request->size <= TP_LARGE_MAX && TP_LIKELY(!step->plan.fail))
        return true;
    errno = ENOMEM;
    return false;
}

/* The charge comes first, and goes back where there is no block (Q3). */
static void *alloc_step_run_charged(struct alloc_step *step)
{
    const struct tp_alloc_request *request = step->request;
    unsigned region = tp_tags[request->slot].region;
    size_t bytes = alloc_step_bytes(step);
    if (!tp_quota_charge(request->account, region, bytes)) {
        errno = EDQUOT;
        return NULL;
    }
    void *block = alloc_step_run(step);
    if (block == NULL)
        tp_quota_uncharge(request->account, region, bytes);
    return block;
}

static void *alloc_step_run_any(struct alloc_step *step)
{
    step->is_refused = false;
    return step->request->account != TP_ACCOUNT_NONE ? alloc_step_run_charged(step) : alloc_step_run(step);
}

static void alloc_step_note_end(const struct alloc_step *step, const void *block)
{
    if (TP_UNLIKELY(step->plan.is_counted))
        tp_figures_note_end(step->request->size, block != NULL, step->plan.fail);
}

static void *alloc_step_finish(const struct alloc_step *step, void *block)
{
    alloc_step_note_end(step, block);
    if (block != NULL && (step->request->flags & TP_ALLOC_ZERO) != 0 && !step->is_new)
        memset(block, 0, tp_seal_is_on() ? step->request->size : alloc_step_bytes(step));
    return block;
}

void *tp_alloc_requested(struct tp_thread *thread, const struct tp_alloc_request *request)
{
    return tp_alloc_planned(thread, request, alloc_plan(request));
}

void *tp_alloc_planned(struct tp_thread *thread, const struct tp_alloc_request *request, struct tp_verify_plan plan)
{
    struct alloc_step step = alloc_step_begin(thread, request, plan);
    tp_fork_note_slow_call();
    if (TP_UNLIKELY(!alloc_is_possible(&step)))
        return alloc_step_finish(&step, NULL);
    void *block = alloc_step_run_any(&step);
    if (TP_UNLIKELY(step.is_refused)) {
        step.plan.treatment = TP_TREAT_PLAIN;
        block = alloc_step_run_any(&step);
    }
    return alloc_step_finish(&step, block);
}

/* --- in place of another ---------------------------------------------------------------------------------------- */

static void *alloc_step_replace(struct alloc_step *step, size_t before)
{
    const struct tp_alloc_request *request = step->request;
    size_t bytes = alloc_step_bytes(step);
    unsigned region = tp_tags[request->slot].region;
    step->is_refused = false;
    if (bytes > before && !tp_quota_charge_more(request->account, region, bytes - before)) {
        errno = EDQUOT;
        return NULL;
    }
    void *block = alloc_step_run(step);
    if (block != NULL && bytes < before)
        tp_quota_charge_less(request->account, region, before - bytes);
    if (block == NULL && bytes > before)
        tp_quota_charge_less(request->account, region, bytes - before);
    return block;
}

void *tp_alloc_replacing(struct tp_thread *thread, const struct tp_alloc_request *request, size_t before)
{
    struct alloc_step step = alloc_step_begin(thread, request, alloc_plan(request));
    tp_fork_note_slow_call();
    void *block = alloc_is_possible(&step) ? alloc_step_replace(&step, before) : NULL;
    if (TP_UNLIKELY(step.is_refused)) {
        step.plan.treatment = TP_TREAT_PLAIN;
        block = alloc_step_replace(&step, before);
    }
    alloc_step_note_end(&step, block);
    return block;
}

/* --- other faces ------------------------------------------------------------------------------------------------ */

void *tp_alloc(struct tp_thread *thread, uint32_t slot, size_t size, size_t alignment)
{
    const struct tp_alloc_request request = {.slot = slot, .size = size, .alignment = alignment};
    return tp_alloc_requested(thread, &request);
}

void *tp_alloc_huge(uint32_t slot, size_t size, bool *is_huge)
{
    const struct tp_alloc_request request = {.slot = slot, .size = size, .alignment = TP_HUGE_PAGE};
    struct alloc_step step = {.request = &request, .class = TP_CLASS_LIMIT, .is_huge = is_huge};
    tp_fork_note_slow_call();
    return alloc_step_run(&step);
}

static void *alloc_known_sealed(struct tp_heap *heap, size_t size, enum tagpool_report_face face)
{
    const struct tp_class_table *table = tp_tag_classes(heap->slot);
    unsigned class = tp_class_of(table, size + TP_SEAL_BYTES);
    void *block = size != 0 ? tp_heap_alloc_warm(heap, class) : NULL;
    if (block != NULL)
        tp_seal_close(block, table->size[class], size, face);
    return block;
}

void *tp_alloc_known(uint64_t key, size_t size, enum tagpool_report_face face)
{
    uint32_t slot;
    struct tp_site_entry *entry = tp_site_find(tp_gate_self, key);
    if (entry == NULL || size > TP_CLASS_MAX_SIZE - tp_seal_bytes() || tp_heap_is_cold(entry->heap, &slot) ||
        entry->heap->armed)
        return NULL;
    tp_fork_note_slow_call();
    if (TP_UNLIKELY(tp_seal_is_on()))
        return alloc_known_sealed(entry->heap, size, face);
    return tp_heap_alloc_warm(entry->heap, tp_class_of(tp_tag_classes(entry->heap->slot), size));
}

void *tp_alloc_sealed_long(struct tp_page *page, size_t size, enum tagpool_report_face face)
{
    char *block = tp_heap_pop_sealed(page);
    tp_page_count_alloc(page);
    tp_seal_close(block, page->block_size, size, face);
    return block;
}
