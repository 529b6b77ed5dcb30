#include "account.h"
#include "lock.h"
#include "span.h"

#include <string.h>

/* Indices of tallies that were given back, and the first that was never used. */
static uint32_t account_free_tallies[TP_TALLY_COUNT];
static uint32_t account_free_count;
static uint32_t account_next_tally = 1;

/* --- tallies -------------------------------------------------------------------------------------------------- */

static struct tagpool_segment_tally *account_take_tally(void)
{
    if (account_free_count > 0)
        return &tp_segment_tallies[account_free_tallies[--account_free_count]];
    if (account_next_tally == TP_TALLY_COUNT)
        return NULL;
    if (tp_segment_tallies_ready(account_next_tally + 1) != 0)
        return NULL;
    return &tp_segment_tallies[account_next_tally++];
}

static struct tagpool_segment_tally *account_make_tally(struct tp_thread *thread, uint32_t slot)
{
    tp_lock(TP_LOCK_TAGS);
    struct tagpool_segment_tally *tally = account_take_tally();
    if (tally != NULL) {
        tally->thread = thread->kernel_id;
        tp_publish(&tally->slot, slot);
        if (account_next_tally > tp_segment->tallies_used_total)
            tp_publish(&tp_segment->tallies_used_total, account_next_tally);
        thread->slots[slot].tally = tally;
        if (slot >= thread->slots_used)
            thread->slots_used = slot + 1;
    }
    tp_unlock(TP_LOCK_TAGS);
    return tally;
}

struct tagpool_segment_tally *tp_account_tally(struct tp_thread *thread, uint32_t slot)
{
    struct tagpool_segment_tally *tally = thread->slots[slot].tally;
    return TP_LIKELY(tally != NULL) ? tally : account_make_tally(thread, slot);
}

void tp_account_alloc(struct tp_thread *thread, uint32_t slot, size_t size)
{
    if (!TP_ACCOUNTS)
        return;
    struct tagpool_segment_tally *tally = tp_account_tally(thread, slot);
    if (tally == NULL) {
        tp_account_alloc_direct(slot, size);
        return;
    }
    tp_account_alloc_in(tally, size);
}

void tp_account_free(struct tp_thread *thread, uint32_t slot, size_t size)
{
    if (!TP_ACCOUNTS)
        return;
    struct tagpool_segment_tally *tally = tp_account_tally(thread, slot);
    if (tally == NULL) {
        tp_account_free_direct(slot, size);
        return;
    }
    tp_account_free_in(tally, size);
}

/* --- slots ---------------------------------------------------------------------------------------------------- */

void tp_account_alloc_direct(uint32_t slot, size_t size)
{
    struct tagpool_segment_slot *shared = &tp_segment_slots[slot];
    __atomic_fetch_add(&shared->large_alloc_bytes_total, size, __ATOMIC_RELEASE);
    __atomic_fetch_add(&shared->large_allocs_total, 1, __ATOMIC_RELEASE);
}

void tp_account_free_direct(uint32_t slot, size_t size)
{
    struct tagpool_segment_slot *shared = &tp_segment_slots[slot];
    __atomic_fetch_add(&shared->large_free_bytes_total, size, __ATOMIC_RELEASE);
    __atomic_fetch_add(&shared->large_frees_total, 1, __ATOMIC_RELEASE);
}

void tp_account_resize_direct(uint32_t slot, size_t from, size_t to)
{
    struct tagpool_segment_slot *shared = &tp_segment_slots[slot];
    if (to > from)
        __atomic_fetch_add(&shared->large_alloc_bytes_total, to - from, __ATOMIC_RELEASE);
    else
        __atomic_fetch_add(&shared->large_free_bytes_total, from - to, __ATOMIC_RELEASE);
}

/* Odd: numbers are on their way into the slot.  Partner of the reader's acquire loads (G2). */
static void account_fold_begin(struct tagpool_segment_slot *shared)
{
    __atomic_fetch_add(&shared->sequence, 1, __ATOMIC_SEQ_CST);
}

static void account_fold_end(struct tagpool_segment_slot *shared)
{
    __atomic_fetch_add(&shared->sequence, 1, __ATOMIC_SEQ_CST);
}

static void account_add(struct tagpool_segment_slot *shared, uint64_t allocs, uint64_t frees, uint64_t alloc_bytes,
                        uint64_t free_bytes)
{
    tp_count(&shared->allocs_total, allocs);
    tp_count(&shared->frees_total, frees);
    tp_count(&shared->alloc_bytes_total, alloc_bytes);
    tp_count(&shared->free_bytes_total, free_bytes);
}

/* --- rows ----------------------------------------------------------------------------------------------------- */

/* The next generation of an id, for this page. */
static uint64_t account_row_id(const struct tp_page *page, uint64_t old)
{
    uint64_t generation = (old >> 32) + 1;
    return generation << 32 | (uint64_t)page->slot << 16 | (uint64_t)page->table << 8 | page->class;
}

/* The row names nobody until it is empty: what it held must not be read as the next slot's (G4). */
static void account_fold_row(struct tagpool_segment_row *row, uint32_t slot, size_t size)
{
    struct tagpool_segment_slot *shared = &tp_segment_slots[slot];
    tp_lock(TP_LOCK_TAGS);
    account_fold_begin(shared);
    account_add(shared, row->allocs_total, row->frees_total, row->allocs_total * size, row->frees_total * size);
    tp_publish(&row->id, row->id >> 32 << 32);
    tp_publish(&row->frees_total, 0);
    tp_publish(&row->allocs_total, 0);
    account_fold_end(shared);
    tp_unlock(TP_LOCK_TAGS);
}

void tp_account_assign(struct tp_page *page)
{
    struct tagpool_segment_row *row = tp_page_row(page);
    uint64_t old = row->id;
    uint32_t slot = old >> 16 & 0xffff;
    uint64_t id = account_row_id(page, old);
    if ((old & 0xffffffff) == (id & 0xffffffff))
        return;
    bool holds = slot != TAGPOOL_SEGMENT_NO_SLOT && slot < TP_SLOT_COUNT && (row->allocs_total | row->frees_total) != 0;
    if (holds)
        account_fold_row(row, slot, tp_class_tables[old >> 8 & 1].size[old & (TP_CLASS_LIMIT - 1)]);
    tp_publish(&row->id, id);
}

/* --- the end of a thread -------------------------------------------------------------------------------------- */

static void account_fold_tally(struct tagpool_segment_tally *tally, uint32_t slot)
{
    struct tagpool_segment_slot *shared = &tp_segment_slots[slot];
    account_fold_begin(shared);
    account_add(shared, tally->allocs_total, tally->frees_total, tally->alloc_bytes_total, tally->free_bytes_total);
    tp_poke(&tally->slot, TAGPOOL_SEGMENT_NO_SLOT);
    tp_poke(&tally->allocs_total, 0);
    tp_poke(&tally->frees_total, 0);
    tp_poke(&tally->alloc_bytes_total, 0);
    tp_poke(&tally->free_bytes_total, 0);
    account_fold_end(shared);
}

static void account_give_tally(struct tp_thread *thread, uint32_t slot)
{
    struct tagpool_segment_tally *tally = thread->slots[slot].tally;
    if (tally == NULL)
        return;
    account_fold_tally(tally, slot);
    thread->slots[slot].tally = NULL;
    account_free_tallies[account_free_count++] = (uint32_t)(tally - tp_segment_tallies);
}

void tp_account_fold(struct tp_thread *thread)
{
    tp_lock(TP_LOCK_TAGS);
    for (uint32_t slot = 1; slot < thread->slots_used; slot++)
        account_give_tally(thread, slot);
    tp_unlock(TP_LOCK_TAGS);
}

/* --- slots without rows -------------------------------------------------------------------------------------- */

static void account_add_sum(struct tp_account_sum *sum, uint64_t allocs, uint64_t frees, uint64_t alloc_bytes,
                            uint64_t free_bytes)
{
    sum->allocs += allocs;
    sum->frees += frees;
    sum->alloc_bytes += alloc_bytes;
    sum->free_bytes += free_bytes;
}

/* Under the lock nothing is folded, so nothing is met twice. */
struct tp_account_sum tp_account_sum(uint32_t slot)
{
    const struct tagpool_segment_slot *shared = &tp_segment_slots[slot];
    struct tp_account_sum sum = {0};
    tp_lock(TP_LOCK_TAGS);
    account_add_sum(&sum, shared->allocs_total, shared->frees_total, shared->alloc_bytes_total,
                    shared->free_bytes_total);
    account_add_sum(&sum, tp_peek(&shared->large_allocs_total), tp_peek(&shared->large_frees_total),
                    tp_peek(&shared->large_alloc_bytes_total), tp_peek(&shared->large_free_bytes_total));
    for (uint32_t i = 1; i < account_next_tally; i++) {
        const struct tagpool_segment_tally *tally = &tp_segment_tallies[i];
        if (tally->slot == slot)
            account_add_sum(&sum, tp_peek(&tally->allocs_total), tp_peek(&tally->frees_total),
                            tp_peek(&tally->alloc_bytes_total), tp_peek(&tally->free_bytes_total));
    }
    tp_unlock(TP_LOCK_TAGS);
    return sum;
}

/* --- what is live --------------------------------------------------------------------------------------------- */

/* Whose bytes: one slot's, or those of all tags of a pool. */
struct account_scope {
    uint32_t slot; /* TAGPOOL_SEGMENT_NO_SLOT: of the pool */
    unsigned region;
};

static bool account_is_of(const struct account_scope *scope, uint32_t slot)
{
    if (scope->slot != TAGPOOL_SEGMENT_NO_SLOT || slot == TAGPOOL_SEGMENT_NO_SLOT || slot >= TP_SLOT_COUNT)
        return slot == scope->slot && slot != TAGPOOL_SEGMENT_NO_SLOT;
    return tp_tags[slot].region == scope->region && tp_tags[slot].face != TAGPOOL_SEGMENT_LOOKASIDE;
}

static uint64_t account_acquire(const uint64_t *word)
{
    return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

static uint64_t account_slots(const struct account_scope *scope, size_t large, size_t small)
{
    uint64_t bytes = 0;
    uint32_t first = scope->slot, last = scope->slot;
    if (scope->slot == TAGPOOL_SEGMENT_NO_SLOT) {
        first = 1;
        last = tp_tag_count() - 1;
    }
    for (uint32_t slot = first; slot <= last; slot++)
        if (account_is_of(scope, slot))
            bytes += account_acquire((const uint64_t *)((const char *)&tp_segment_slots[slot] + large)) +
                     account_acquire((const uint64_t *)((const char *)&tp_segment_slots[slot] + small));
    return bytes;
}

static uint64_t account_tallies(const struct account_scope *scope, size_t field)
{
    uint64_t bytes = 0;
    for (uint32_t i = 1; i < account_next_tally; i++)
        if (account_is_of(scope, tp_segment_tallies[i].slot))
            bytes += account_acquire((const uint64_t *)((const char *)&tp_segment_tallies[i] + field));
    return bytes;
}

/* Frees first (G3).  A row that changes hands meanwhile held nothing, for the lock keeps it from being folded. */
static uint64_t account_row(const struct account_scope *scope, const struct tagpool_segment_row *row)
{
    uint64_t id = account_acquire(&row->id);
    if (!account_is_of(scope, id >> 16 & 0xffff))
        return 0;
    uint64_t frees = account_acquire(&row->frees_total);
    uint64_t allocs = account_acquire(&row->allocs_total);
    if (account_acquire(&row->id) != id)
        return account_row(scope, row);
    return (allocs - frees) * tp_class_tables[id >> 8 & 1].size[id & (TP_CLASS_LIMIT - 1)];
}

static uint64_t account_rows(const struct account_scope *scope)
{
    uint64_t bytes = 0;
    size_t end = tp_span_watermark(scope->region);
    for (size_t unit = tp_span_region_first(scope->region); unit < end; unit++)
        bytes += account_row(scope, &tp_space.rows[unit]);
    return bytes;
}

/* In the census' order; under the lock nothing is folded, so nothing is met twice. */
static uint64_t account_live(const struct account_scope *scope)
{
    tp_lock(TP_LOCK_TAGS);
    uint64_t freed = account_slots(scope, offsetof(struct tagpool_segment_slot, large_free_bytes_total),
                                   offsetof(struct tagpool_segment_slot, free_bytes_total)) +
                     account_tallies(scope, offsetof(struct tagpool_segment_tally, free_bytes_total));
    uint64_t in_rows = account_rows(scope);
    uint64_t allocated = account_tallies(scope, offsetof(struct tagpool_segment_tally, alloc_bytes_total)) +
                         account_slots(scope, offsetof(struct tagpool_segment_slot, large_alloc_bytes_total),
                                       offsetof(struct tagpool_segment_slot, alloc_bytes_total));
    tp_unlock(TP_LOCK_TAGS);
    return in_rows + allocated - freed;
}

uint64_t tp_account_live(uint32_t slot)
{
    const struct account_scope scope = {slot, tp_tags[slot].region};
    return account_live(&scope);
}

uint64_t tp_account_live_in_pool(unsigned region)
{
    const struct account_scope scope = {TAGPOOL_SEGMENT_NO_SLOT, region};
    return account_live(&scope);
}

void tp_account_close(struct tp_thread *thread, uint32_t slot)
{
    if (thread->slots[slot].tally == NULL)
        return;
    tp_lock(TP_LOCK_TAGS);
    account_give_tally(thread, slot);
    tp_unlock(TP_LOCK_TAGS);
}

/* --- fork ----------------------------------------------------------------------------------------------------- */

void tp_account_inherit(struct tp_page *page)
{
    struct tagpool_segment_row *row = tp_page_row(page);
    row->id = account_row_id(page, 0);
    row->allocs_total = page->used;
    row->frees_total = 0;
}

void tp_account_forget_tallies(struct tp_thread *thread)
{
    for (uint32_t slot = 1; slot < thread->slots_used; slot++)
        thread->slots[slot].tally = NULL;
    account_free_count = 0;
    account_next_tally = 1;
}
