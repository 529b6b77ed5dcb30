#include "free.h"
#include "account.h"
#include "budget.h"
#include "figures.h"
#include "harden.h"
#include "large.h"
#include "limit.h"
#include "mail.h"
#include "quota.h"
#include "shortcut.h"
#include "side.h"
#include "special.h"
#include "watch.h"
#include "watched.h"

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
    tp_checked_stop_unless_match(p, side.slot, page->watch[index].size, page->watch[index].face, how);
    tp_watched_end(page, index, p, tp_trace_take(how->call, TP_TRACE_FEW), tp_checked_thread(thread));
    free_from_side(thread, page, side, bytes);
    tp_figures_note_freed(page->region, bytes);
    tp_watch_detain(thread, page, index, p);
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

/* --- hardened blocks ------------------------------------------------------------------------------------------ */

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

/* --- any ------------------------------------------------------------------------------------------------------ */

static TP_NOINLINE void free_checked(struct tp_thread *thread, void *p, const struct tp_checked_free *how)
{
    if (tp_special_owns(p))
        free_special(thread, p, how);
    else
        free_watched(thread, tp_page_at(p), p, how);
}

/* No call on this way changes errno. */
static void free_block(void *p, const struct tp_checked_free *how)
{
    struct tp_thread *thread = tp_thread_self();
    struct tp_page *page = TP_LIKELY(!tp_special_owns(p)) ? tp_page_at_or_stop(p) : NULL;
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
    if (p != NULL)
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
    if (TP_UNLIKELY(tp_seal_is_on()) && TP_LIKELY(free_short(block, face, size)))
        return;
    if (TP_UNLIKELY(tp_peek(&tp_tag_rules_on) == 0) || !tp_shortcut_free(block, face, size, call))
        free_any(block, face, size, call);
}

void tp_free_slow(void *block)
{
    tp_free_called(block, 0, TP_SIZE_UNTOLD, (struct tp_call){0, 0});
}
