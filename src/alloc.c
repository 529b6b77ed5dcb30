#include "alloc.h"
#include "account.h"
#include "budget.h"
#include "figures.h"
#include "fork.h"
#include "harden.h"
#include "large.h"
#include "lock.h"
#include "mail.h"
#include "quota.h"
#include "shortcut.h"
#include "side.h"
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

/* The page or large block that holds an address; NULL when nothing is allocated there. */
static struct tp_page *block_page(const void *p)
{
    size_t unit = tp_unit_of(p);
    if (unit >= tp_space.unit_count)
        return NULL;
    uint64_t owner = tp_peek(&tp_space.owners[unit]);
    return owner == TP_OWNER_NONE ? NULL : &tp_space.pages[unit - (owner & TP_OWNER_BACK_MASK)];
}

/* Also where nothing is to be remembered: of an earlier block something may be (K1). */
static void alloc_step_track(const struct alloc_step *step, void *block)
{
    const struct tp_alloc_request *request = step->request;
    uint32_t stack = tp_trace_take(&request->call, (enum tp_trace_level)step->plan.trace);
    tp_track_note(block_page(block), block, request->slot, stack, request->size);
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

/* --- look up -------------------------------------------------------------------------------------------------- */

static struct tp_page *block_page_or_stop(const void *p)
{
    struct tp_page *page = block_page(p);
    if (TP_LIKELY(page != NULL))
        return page;
    bool in_pool = tp_unit_of(p) < tp_space.unit_count;
    tp_stop(in_pool ? TP_CALLER_INVALID : TP_CALLER_NO_POOL, (uintptr_t)p, 0, 0, p, 0);
}

static void block_info_large(struct tp_block_info *info)
{
    info->size = info->page->large_asked;
    info->account = info->page->account;
}

static void block_info_side(struct tp_block_info *info, struct tp_side side)
{
    info->slot = side.slot;
    info->account = side.account;
    if (TP_UNLIKELY(info->page->watched))
        info->size = info->page->watch[info->index].size;
}

/* What is known of a block by its place alone. */
static struct tp_block_info block_info(struct tp_page *page, uint32_t index)
{
    struct tp_block_info info = {page, page->block_size, page->slot, index, TP_ACCOUNT_NONE};
    if (page->state == TP_UNIT_LARGE)
        block_info_large(&info);
    else if (tp_page_is_mixed(page))
        block_info_side(&info, tp_side_peek(page, index));
    if (tp_page_is_sealed(page) && page->state != TP_UNIT_LARGE)
        info.size = tp_harden_size(page, tp_page_block(page, index));
    return info;
}

/* Pages that know of each block whether it lives stop for one that does not, as they do when it is freed. */
static struct tp_block_info block_info_live(struct tp_page *page, uint32_t index, const void *block)
{
    struct tp_block_info info = block_info(page, index);
    if (TP_UNLIKELY(info.slot == TAGPOOL_SEGMENT_NO_SLOT))
        tp_side_take(page, index, block);
    if (TP_UNLIKELY(info.size == SIZE_MAX))
        tp_harden_stop_unsealed(page, block);
    return info;
}

/* What special pool knows has no page. */
static struct tp_block_info block_info_special(const struct tp_special *special)
{
    return (struct tp_block_info){NULL, special->size, special->slot, 0, special->account};
}

struct tp_block_info tp_block_look_up(const void *block)
{
    if (TP_UNLIKELY(tp_special_owns(block)))
        return block_info_special(tp_special_look_up(block));
    struct tp_page *page = block_page_or_stop(block);
    if (page->state != TP_UNIT_LARGE)
        return block_info_live(page, tp_page_index(page, block), block);
    if (block != page->start)
        tp_large_stop_middle(page, block);
    return block_info(page, 0);
}

bool tp_block_find(const void *block, struct tp_block_info *info)
{
    const struct tp_special *special = tp_special_at(block);
    struct tp_page *page = block != NULL ? block_page(block) : NULL;
    uint32_t index = 0;
    if (TP_UNLIKELY(special != NULL)) {
        *info = block_info_special(special);
        return special->block == block && tp_special_lives(special);
    }
    if (page == NULL)
        return false;
    if (page->state == TP_UNIT_LARGE ? block != page->start : !tp_page_find(page, block, &index))
        return false;
    *info = block_info(page, index);
    return info->slot != TAGPOOL_SEGMENT_NO_SLOT && info->size != SIZE_MAX;
}

static bool block_resize_sealed(void *block, struct tp_page *page, size_t size)
{
    size_t room = size + TP_SEAL_BYTES;
    if (page->state == TP_UNIT_LARGE) {
        tp_harden_check_large(page);
        if (room <= TP_CLASS_MAX_SIZE || !tp_large_resize(page, room))
            return false;
        tp_harden_resize_large(page, size);
        return true;
    }
    if (room > page->block_size || (room < page->block_size / 2 && page->block_size > 64))
        return false;
    tp_harden_resize(page, block, size);
    return true;
}

/* Checked blocks stay where they are only where nothing of them changes: so that what was left behind is noticed. */
static bool block_resize(void *block, const struct tp_block_info *info, size_t size)
{
    if (TP_UNLIKELY(info->page == NULL))
        return size == info->size;
    if (TP_UNLIKELY(info->page->watched))
        return tp_watch_resize(info->page, info->index, block, size);
    if (TP_UNLIKELY(tp_seal_is_on()))
        return size <= TP_LARGE_MAX && block_resize_sealed(block, info->page, size);
    if (info->page->state == TP_UNIT_LARGE)
        return size > TP_CLASS_MAX_SIZE && tp_large_resize(info->page, size);
    return size <= info->size && (size >= info->size / 2 || info->size <= 64);
}

bool tp_block_resize(void *block, const struct tp_block_info *info, size_t size)
{
    bool is_resized = block_resize(block, info, size);
    if (is_resized && info->page != NULL)
        tp_track_resize(info->page, info->index, size);
    return is_resized;
}

/* --- move ----------------------------------------------------------------------------------------------------- */

size_t tp_block_bytes(const struct tp_block_info *info)
{
    if (info->page == NULL || info->page->watched)
        return tp_checked_bytes(info->size);
    return info->page->state == TP_UNIT_LARGE ? info->page->large_size : info->page->block_size;
}

/* Nobody is charged for the block any more: its account pays for another one. */
static void block_forget_account(const void *block, const struct tp_block_info *info)
{
    if (info->page == NULL)
        tp_special_forget_account(block);
    else if (info->page->state == TP_UNIT_LARGE)
        info->page->account = TP_ACCOUNT_NONE;
    else
        tp_side_forget_account(info->page, info->index);
}

/*
 * A block in place of one of the same kind that is charged: the charge goes with it, and only the difference is asked
 * for.
 */
static void *block_step_replace(struct alloc_step *step, const void *old, const struct tp_block_info *info)
{
    size_t bytes = alloc_step_bytes(step), before = tp_block_bytes(info);
    unsigned region = tp_tags[info->slot].region;
    if (bytes > before && !tp_quota_charge_more(info->account, region, bytes - before)) {
        errno = EDQUOT;
        return NULL;
    }
    void *block = alloc_step_run(step);
    if (block != NULL)
        block_forget_account(old, info);
    if (block != NULL && bytes < before)
        tp_quota_charge_less(info->account, region, before - bytes);
    if (block == NULL && bytes > before)
        tp_quota_charge_less(info->account, region, bytes - before);
    return block;
}

static void *block_replace_charged(struct tp_thread *thread, const void *old, const struct tp_block_info *info,
                                   const struct tp_alloc_request *request)
{
    struct alloc_step step = alloc_step_begin(thread, request, alloc_plan(request));
    tp_fork_note_slow_call();
    void *block = alloc_is_possible(&step) ? block_step_replace(&step, old, info) : NULL;
    if (TP_UNLIKELY(step.is_refused)) {
        step.plan.treatment = TP_TREAT_PLAIN;
        block = block_step_replace(&step, old, info);
    }
    alloc_step_note_end(&step, block);
    return block;
}

void *tp_block_move(struct tp_thread *thread, void *old, const struct tp_block_info *info,
                    const struct tp_alloc_request *request)
{
    struct tp_alloc_request charged = *request;
    charged.account = info->account;
    bool is_replaced = info->account != TP_ACCOUNT_NONE && tp_tags[info->slot].region == tp_tags[request->slot].region;
    void *block =
        is_replaced ? block_replace_charged(thread, old, info, &charged) : tp_alloc_requested(thread, &charged);
    if (block == NULL)
        return NULL;
    memcpy(block, old, tp_min(request->size, info->size));
    tp_free_called(old, request->face, TP_SIZE_UNTOLD, request->call);
    return block;
}

/* --- free ----------------------------------------------------------------------------------------------------- */

/* One block less, in the books of the thread that frees it. */
TP_INLINE void free_count_now(struct tp_thread *thread, uint32_t slot, size_t bytes)
{
    if (TP_UNLIKELY(thread == NULL))
        tp_account_free_direct(slot, bytes);
    else
        tp_account_free(thread, slot, bytes);
}

/* Apart, so that frees of other threads' blocks far from any limit stay short. */
static TP_NOINLINE void free_count_near(struct tp_thread *thread, uint32_t slot, size_t bytes)
{
    tp_limit_give_begin();
    free_count_now(thread, slot, bytes);
    tp_limit_give_end(slot, bytes);
}

TP_INLINE void free_count(struct tp_thread *thread, uint32_t slot, size_t bytes)
{
    if (TP_UNLIKELY(tp_limit_is_near(slot)))
        free_count_near(thread, slot, bytes);
    else
        free_count_now(thread, slot, bytes);
}

/* A block of a mixed page leaves its slot. */
static void free_from_side(struct tp_thread *thread, const struct tp_page *page, struct tp_side side, size_t bytes)
{
    free_count(thread, side.slot, bytes);
    tp_limit_shrink(&tp_tags[side.slot].meter, bytes);
    if (TP_UNLIKELY(side.account != TP_ACCOUNT_NONE))
        tp_quota_uncharge(side.account, page->region, bytes);
}

static TP_NOINLINE void free_mixed(struct tp_thread *thread, struct tp_page *page, uint32_t index, const void *p)
{
    free_from_side(thread, page, tp_side_take(page, index, p), page->block_size);
}

/* The end of a watched block, whoever owns the page; its memory goes home later. */
static TP_NOINLINE void free_watched(struct tp_thread *thread, struct tp_page *page, void *p,
                                     const struct tp_checked_free *how)
{
    uint32_t index = tp_page_index(page, p);
    size_t bytes = tp_checked_bytes(page->watch[index].size);
    struct tp_side side = tp_side_take(page, index, p);
    tp_watch_end(thread, page, index, p, how);
    free_from_side(thread, page, side, bytes);
    tp_figures_note_freed(page->region, bytes);
    tp_watch_detain(thread, page, p);
}

/* What is not a live block's first byte is stopped before it is counted. */
static void free_special(struct tp_thread *thread, void *p, const struct tp_checked_free *how)
{
    const struct tp_special *special = tp_special_at(p);
    uint32_t region = special != NULL ? tp_tags[special->slot].region : 0;
    size_t bytes = special != NULL ? tp_checked_bytes(special->size) : 0;
    uint64_t began = tp_budget_begin();
    tp_special_free(thread, p, how);
    tp_budget_end(began);
    tp_figures_note_freed(region, bytes);
}

static void free_own(struct tp_thread *thread, struct tp_page *page, void *p)
{
    uint32_t index = tp_page_index(page, p);
    tp_page_check_carved(page, index, p);
    if (tp_page_is_mixed(page)) {
        free_mixed(thread, page, index, p);
    } else {
        bool near = tp_limit_free_begin(page->slot);
        tp_page_count_free(page);
        tp_limit_free_end(near, page->slot, page->block_size);
    }
    tp_heap_put(page, p, p, 1);
}

static void free_foreign(struct tp_thread *thread, struct tp_page *page, void *p)
{
    uint32_t index = tp_page_index(page, p);
    if (tp_page_is_mixed(page))
        free_mixed(thread, page, index, p);
    else
        free_count(thread, page->slot, page->block_size);
    if (TP_UNLIKELY(thread == NULL))
        tp_mail_deliver(page, p);
    else
        tp_mail_send(thread, page, p);
}

/* --- free: hardened blocks ------------------------------------------------------------------------------------ */

static void free_count_hardened(struct tp_thread *thread, struct tp_page *page, const void *p)
{
    if (tp_page_is_mixed(page)) {
        free_mixed(thread, page, tp_page_index(page, p), p);
    } else if (thread != NULL && tp_peek(&page->owner) == thread->id) {
        bool near = tp_limit_free_begin(page->slot);
        tp_page_count_free(page);
        tp_limit_free_end(near, page->slot, page->block_size);
    } else {
        free_count(thread, page->slot, page->block_size);
    }
}

static void free_hardened(struct tp_thread *thread, struct tp_page *page, void *p, const struct tp_checked_free *how)
{
    if (page->state == TP_UNIT_LARGE) {
        tp_harden_free_large(thread, page, p, how);
        return;
    }
    tp_harden_end(page, p, how);
    free_count_hardened(thread, page, p);
    tp_harden_detain(thread, page, p);
}

/* --- free: any ------------------------------------------------------------------------------------------------ */

static TP_NOINLINE void free_checked(struct tp_thread *thread, void *p, const struct tp_checked_free *how)
{
    if (tp_special_owns(p))
        free_special(thread, p, how);
    else
        free_watched(thread, block_page(p), p, how);
}

/* No call on this way changes errno. */
static void free_block(void *p, const struct tp_checked_free *how)
{
    struct tp_thread *thread = tp_thread_self();
    struct tp_page *page = TP_LIKELY(!tp_special_owns(p)) ? block_page_or_stop(p) : NULL;
    if (TP_UNLIKELY(page == NULL || page->watched)) {
        free_checked(thread, p, how);
    } else if (TP_UNLIKELY(tp_seal_is_on())) {
        free_hardened(thread, page, p, how);
    } else if (page->state == TP_UNIT_LARGE)
        tp_large_free(page, p);
    else if (thread != NULL && tp_peek(&page->owner) == thread->id)
        free_own(thread, page, p);
    else
        free_foreign(thread, page, p);
}

static TP_NOINLINE void free_any(void *p, enum tagpool_report_face face, size_t size, struct tp_call call)
{
    const struct tp_checked_free how = {face, &call, size};
    if (p != NULL && !(TP_UNLIKELY(tp_peek(&tp_tag_rules_on) != 0) && tp_shortcut_free(p, &how)))
        free_block(p, &how);
}

/* A longer one; longer than an OS page: not here. */
static TP_NOINLINE bool free_long(const struct tp_gate *gate, struct tp_page *page, char *p,
                                  const struct tp_checked_free *how)
{
    size_t block_size = page->block_size;
    struct tp_seal seal;
    if (block_size > TP_OS_PAGE || !tp_seal_read(p, block_size, &seal) || seal.face != how->face ||
        (how->size != TP_SIZE_UNTOLD && how->size != block_size - seal.slop) ||
        !tp_seal_is_whole(p, block_size, seal.slop))
        return false;
    tp_seal_wipe(p, block_size, seal.slop);
    tp_page_count_free(page);
    tp_harden_swap_short(gate, p);
    return true;
}

/* The short way to the end of most hardened blocks calls nothing. */
TP_INLINE bool free_short(char *p, enum tagpool_report_face face, size_t size)
{
    const struct tp_gate *gate = tp_gate_self;
    size_t unit = tp_unit_of(p);
    if (TP_UNLIKELY(unit >= tp_space.unit_count))
        return false;
    uint64_t back = tp_harden_back(gate, unit);
    if (TP_UNLIKELY(back > TP_OWNER_BACK_MASK || gate->ring == NULL))
        return false;
    struct tp_page *page = &tp_space.pages[unit - back];
    if (TP_UNLIKELY(!tp_harden_is_near(page, p)))
        return false;
    if (TP_UNLIKELY(page->block_size > TP_SEAL_SHORT))
        return free_long(gate, page, p, &(struct tp_checked_free){.face = face, .size = size});
    if (TP_UNLIKELY(!tp_harden_is_sound(page, p, face, size)))
        return false;
    tp_seal_wipe_short(p, page->block_size);
    tp_page_count_free(page);
    tp_harden_swap_short(gate, p);
    return true;
}

void tp_free_called(void *block, enum tagpool_report_face face, size_t size, struct tp_call call)
{
    if (TP_LIKELY(!tp_seal_is_on()) || TP_UNLIKELY(!free_short(block, face, size)))
        free_any(block, face, size, call);
}

void tp_free_slow(void *block)
{
    tp_free_called(block, 0, TP_SIZE_UNTOLD, (struct tp_call){0, 0});
}
