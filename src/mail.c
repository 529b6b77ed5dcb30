#include "mail.h"
#include "heap.h"
#include "lock.h"

/* --- delivery ------------------------------------------------------------------------------------------------- */

static void mail_push(struct tp_thread *owner, struct tp_block *first, struct tp_block *last)
{
    struct tp_block *head = tp_peek(&owner->mail);
    do {
        last->next = head;
    } while (!__atomic_compare_exchange_n(&owner->mail, &head, first, true, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED));
}

/* The orphans' pages are open to whoever holds the lock; a page that was claimed meanwhile has an owner again. */
static bool mail_to_orphans(struct tp_page *page, void *block)
{
    tp_lock(TP_LOCK_ORPHANS);
    bool mine = __atomic_load_n(&page->owner, __ATOMIC_ACQUIRE) == tp_thread_orphans->id;
    if (mine)
        tp_heap_put(page, block);
    tp_unlock(TP_LOCK_ORPHANS);
    return mine;
}

static void mail_deliver_parcel(uint64_t id, struct tp_block *first, struct tp_block *last);

static struct tp_page *mail_page(const void *block)
{
    size_t unit = tp_unit_of(block);
    return &tp_space.pages[unit - (tp_peek(&tp_space.owners[unit]) & TP_OWNER_BACK_MASK)];
}

/* To whoever owns the page now (M2). */
static void mail_deliver(struct tp_block *block)
{
    struct tp_page *page = mail_page(block);
    for (;;) {
        uint64_t id = __atomic_load_n(&page->owner, __ATOMIC_ACQUIRE);
        if (id != tp_thread_orphans->id) {
            mail_deliver_parcel(id, block, block);
            return;
        }
        if (mail_to_orphans(page, block))
            return;
    }
}

/* A record that ended before our push may not look at its mail again: send it on ourselves (M1). */
static void mail_return(struct tp_thread *owner)
{
    struct tp_block *block = __atomic_exchange_n(&owner->mail, NULL, __ATOMIC_SEQ_CST);
    while (block != NULL) {
        struct tp_block *next = block->next;
        mail_deliver(block);
        block = next;
    }
}

static void mail_deliver_parcel(uint64_t id, struct tp_block *first, struct tp_block *last)
{
    struct tp_thread *owner = tp_thread_of(id);
    uint32_t state = __atomic_load_n(&owner->state, __ATOMIC_SEQ_CST);
    if (state == TP_THREAD_FROZEN)
        return; /* a thread of the parent: its pages are never walked again, the call is counted */
    mail_push(owner, first, last);
    state = __atomic_load_n(&owner->state, __ATOMIC_SEQ_CST);
    if (state == TP_THREAD_FREE)
        mail_return(owner);
}

/* --- parcels -------------------------------------------------------------------------------------------------- */

void tp_mail_flush(struct tp_thread *thread)
{
    struct tp_parcel parcel = thread->parcel;
    if (parcel.first == NULL)
        return;
    thread->parcel = (struct tp_parcel){0};
    mail_deliver_parcel(parcel.owner, parcel.first, parcel.last);
}

static void mail_add(struct tp_parcel *parcel, struct tp_block *block, size_t size)
{
    block->next = parcel->first;
    parcel->first = block;
    if (parcel->last == NULL)
        parcel->last = block;
    parcel->count++;
    parcel->bytes += size;
}

void tp_mail_send(struct tp_thread *thread, struct tp_page *page, void *block)
{
    uint64_t id = __atomic_load_n(&page->owner, __ATOMIC_ACQUIRE);
    if (thread == NULL || id == tp_thread_orphans->id) {
        mail_deliver(block);
        return;
    }
    if (thread->parcel.owner != id)
        tp_mail_flush(thread);
    thread->parcel.owner = id;
    mail_add(&thread->parcel, block, page->block_size);
    if (thread->parcel.count >= TP_PARCEL_BLOCKS || thread->parcel.bytes >= TP_PARCEL_BYTES)
        tp_mail_flush(thread);
}

void tp_mail_collect(struct tp_thread *thread)
{
    if (TP_LIKELY(tp_peek(&thread->mail) == NULL))
        return;
    struct tp_block *block = __atomic_exchange_n(&thread->mail, NULL, __ATOMIC_SEQ_CST);
    while (block != NULL) {
        struct tp_block *next = block->next;
        struct tp_page *page = mail_page(block);
        if (__atomic_load_n(&page->owner, __ATOMIC_ACQUIRE) == thread->id)
            tp_heap_put(page, block);
        else
            mail_deliver(block);
        block = next;
    }
}
