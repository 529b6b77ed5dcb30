#include "mail.h"
#include "heap.h"
#include "lock.h"

#include <string.h>

/* --- parcels as they travel ----------------------------------------------------------------------------------- */

static struct tp_page *mail_page(const void *block)
{
    size_t unit = tp_unit_of(block);
    return &tp_space.pages[unit - (tp_peek(&tp_space.owners[unit]) & TP_OWNER_BACK_MASK)];
}

static struct tp_block *parcel_seal(const struct tp_parcel *parcel)
{
    struct tp_sealed *first = (struct tp_sealed *)parcel->first;
    struct tp_sealed *second = (struct tp_sealed *)parcel->first->next;
    first->more = (uint64_t)parcel->count << TP_PARCEL_COUNT_SHIFT;
    if (parcel->count > 1) {
        first->more |= (uintptr_t)second;
        second->more = (uintptr_t)parcel->last;
    }
    return parcel->first;
}

static struct tp_parcel parcel_unseal(struct tp_block *block)
{
    const struct tp_sealed *first = (const struct tp_sealed *)block;
    struct tp_block *second = (struct tp_block *)(uintptr_t)(first->more & TP_PARCEL_POINTER_MASK);
    struct tp_parcel parcel = {mail_page(block), block, block, (uint32_t)(first->more >> TP_PARCEL_COUNT_SHIFT)};
    if (parcel.count > 1) {
        parcel.last = (struct tp_block *)(uintptr_t)((const struct tp_sealed *)second)->more;
        block->next = second;
    }
    return parcel;
}

/* --- delivery ------------------------------------------------------------------------------------------------- */

static void mail_push(struct tp_thread *owner, struct tp_block *first, struct tp_block *last)
{
    struct tp_block *head = tp_peek(&owner->mail);
    do {
        last->next = head;
    } while (!__atomic_compare_exchange_n(&owner->mail, &head, first, true, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED));
}

/* The orphans' pages are open to whoever holds the lock; a page that was claimed meanwhile has an owner again. */
static bool mail_to_orphans(const struct tp_parcel *parcel)
{
    tp_lock(TP_LOCK_ORPHANS);
    bool mine = __atomic_load_n(&parcel->page->owner, __ATOMIC_ACQUIRE) == tp_thread_orphans->id;
    if (mine)
        tp_heap_put(parcel->page, parcel->first, parcel->last, parcel->count);
    tp_unlock(TP_LOCK_ORPHANS);
    return mine;
}

static void mail_post(uint64_t id, struct tp_block *first, struct tp_block *last);

/* To whoever owns the page now (M2). */
static void mail_forward(const struct tp_parcel *parcel)
{
    for (;;) {
        uint64_t id = __atomic_load_n(&parcel->page->owner, __ATOMIC_ACQUIRE);
        if (id != tp_thread_orphans->id) {
            struct tp_block *sealed = parcel_seal(parcel);
            mail_post(id, sealed, sealed);
            return;
        }
        if (mail_to_orphans(parcel))
            return;
    }
}

static void mail_forward_all(struct tp_block *sealed)
{
    while (sealed != NULL) {
        struct tp_block *next = sealed->next;
        struct tp_parcel parcel = parcel_unseal(sealed);
        mail_forward(&parcel);
        sealed = next;
    }
}

/* A chain of parcels into a thread's mail.  A record that ended before our push may not look again: M1. */
static void mail_post(uint64_t id, struct tp_block *first, struct tp_block *last)
{
    struct tp_thread *owner = tp_thread_of(id);
    if (TP_UNLIKELY(owner == NULL)) /* the page has retired: more blocks came back than went out */
        tp_stop(TP_CALLER_FREED_TWICE, 0, 0, (uintptr_t)first, first, 0);
    uint32_t state = __atomic_load_n(&owner->state, __ATOMIC_SEQ_CST);
    if (state == TP_THREAD_FROZEN)
        return; /* a thread of the parent: its pages are never walked again, the calls are counted */
    mail_push(owner, first, last);
    state = __atomic_load_n(&owner->state, __ATOMIC_SEQ_CST);
    if (state == TP_THREAD_FREE)
        mail_forward_all(__atomic_exchange_n(&owner->mail, NULL, __ATOMIC_SEQ_CST));
}

void tp_mail_deliver(struct tp_page *page, void *block)
{
    struct tp_parcel parcel = {page, block, block, 1};
    mail_forward(&parcel);
}

/* --- what waits ----------------------------------------------------------------------------------------------- */

static void bag_send(struct tp_bag *bag)
{
    struct tp_bag full = *bag;
    *bag = (struct tp_bag){0};
    if (full.first == NULL)
        return;
    if (full.owner != tp_thread_orphans->id) {
        mail_post(full.owner, full.first, full.last);
        return;
    }
    full.last->next = NULL;
    mail_forward_all(full.first);
}

static void bag_add(struct tp_bag *bag, const struct tp_parcel *parcel)
{
    uint64_t owner = __atomic_load_n(&parcel->page->owner, __ATOMIC_ACQUIRE);
    if (bag->owner != owner)
        bag_send(bag);
    struct tp_block *sealed = parcel_seal(parcel);
    sealed->next = bag->first;
    bag->first = sealed;
    if (bag->last == NULL)
        bag->last = sealed;
    bag->owner = owner;
}

static void parcel_close(struct tp_thread *thread, struct tp_parcel *parcel)
{
    if (parcel->page == NULL)
        return;
    bag_add(&thread->bag, parcel);
    parcel->page = NULL;
}

void tp_mail_flush(struct tp_thread *thread)
{
    for (unsigned i = 0; i < TP_PARCELS; i++)
        parcel_close(thread, &thread->parcels[i]);
    bag_send(&thread->bag);
    thread->waiting = 0;
}

/* M3 */
static size_t mail_weight(const struct tp_page *page)
{
    return page->block_size < TP_MAIL_LARGE ? page->block_size : (size_t)4 * page->block_size;
}

void tp_mail_send(struct tp_thread *thread, struct tp_page *page, void *p)
{
    struct tp_block *block = p;
    struct tp_parcel *parcel = &thread->parcels[tp_page_unit(page) % TP_PARCELS];
    if (parcel->page != page) {
        parcel_close(thread, parcel);
        *parcel = (struct tp_parcel){page, NULL, block, 0};
    }
    block->next = parcel->first;
    parcel->first = block;
    parcel->count++;
    thread->waiting += mail_weight(page);
    if (TP_UNLIKELY(thread->waiting >= TP_MAIL_BYTES))
        tp_mail_flush(thread);
    else if (TP_UNLIKELY(parcel->count == TP_PARCEL_BLOCKS))
        parcel_close(thread, parcel);
}

void tp_mail_collect(struct tp_thread *thread)
{
    if (TP_LIKELY(tp_peek(&thread->mail) == NULL))
        return;
    struct tp_block *sealed = __atomic_exchange_n(&thread->mail, NULL, __ATOMIC_SEQ_CST);
    while (sealed != NULL) {
        struct tp_block *next = sealed->next;
        struct tp_parcel parcel = parcel_unseal(sealed);
        if (__atomic_load_n(&parcel.page->owner, __ATOMIC_ACQUIRE) == thread->id)
            tp_heap_put(parcel.page, parcel.first, parcel.last, parcel.count);
        else
            mail_forward(&parcel);
        sealed = next;
    }
}

void tp_mail_forget(struct tp_thread *thread)
{
    memset(thread->parcels, 0, sizeof(thread->parcels));
    thread->bag = (struct tp_bag){0};
    thread->waiting = 0;
}
