#include "harden.h"
#include "large.h"
#include "limit.h"
#include "mail.h"
#include "metadata.h"
#include "side.h"
#include "span.h"

#include <string.h>

/* Bytes of a freed large block that are looked at before its span is used again. */
#define HARDEN_LARGE_LOOKED 64u

/* --- stops ---------------------------------------------------------------------------------------------------- */

static uint32_t harden_slot(const struct tp_page *page, const void *p)
{
    uint32_t index;
    if (!tp_page_is_mixed(page))
        return page->slot;
    return tp_page_find(page, p, &index) ? tp_side_last_slot(page, index) % TP_SLOT_COUNT : 0;
}

static uint32_t harden_tag(const struct tp_page *page, const void *p)
{
    return tp_tags[harden_slot(page, p)].tag;
}

bool tp_harden_is_freed(const struct tp_page *page, uint32_t index, const char *p)
{
    void *next;
    if (tp_page_is_mixed(page))
        return tp_side_peek(page, index).slot == TAGPOOL_SEGMENT_NO_SLOT;
    if (page->block_size > 16)
        return tp_seal_is_blank(p, page->block_size);
    return tp_seal_begins_zero(p) || tp_seal_next(p, &next);
}

static __attribute__((noreturn, cold)) void harden_stop_overrun(const void *p, const void *changed, uint32_t tag)
{
    tp_stop(TP_SPECIAL_OVERRUN_FOUND, (uintptr_t)p, (uintptr_t)changed, 0, changed, tag);
}

void tp_harden_stop_unsealed(const struct tp_page *page, const void *p)
{
    uint32_t index = tp_page_index(page, p);
    uint32_t tag = harden_tag(page, p);
    tp_page_check_carved(page, index, p);
    if (tp_harden_is_freed(page, index, p))
        tp_stop(TP_CALLER_FREED_TWICE, 0, tag, (uintptr_t)p, p, tag);
    harden_stop_overrun(p, (const char *)p + page->block_size - 8, tag);
}

/* What does not fit, and how. */
static TP_NOINLINE __attribute__((noreturn, cold)) void harden_stop_changed(const struct tp_page *page, const char *p,
                                                                            uint32_t slop)
{
    const char *end = p + page->block_size - slop;
    harden_stop_overrun(p, tp_seal_find_change(end, tp_seal_pattern_bytes(slop)), harden_tag(page, p));
}

/* --- the end of a block --------------------------------------------------------------------------------------- */

/* Behind the page's end there is no seal to read, maybe no memory. */
static bool harden_is_within(const struct tp_page *page, const char *p)
{
    return (size_t)(p - page->start) + page->block_size <= (size_t)page->units << TP_UNIT_SHIFT;
}

/* How long the block is that begins at p, and has its pattern; a stop where none does. */
static struct tp_seal harden_open(const struct tp_page *page, const char *p)
{
    struct tp_seal seal;
    if (TP_UNLIKELY(!harden_is_within(page, p) || !tp_seal_read(p, page->block_size, &seal)))
        tp_harden_stop_unsealed(page, p);
    if (TP_UNLIKELY(!tp_seal_is_whole(p, page->block_size, seal.slop)))
        harden_stop_changed(page, p, seal.slop);
    return seal;
}

void tp_harden_end(const struct tp_page *page, void *p, const struct tp_checked_free *how)
{
    struct tp_seal seal = harden_open(page, p);
    size_t size = page->block_size - seal.slop;
    if (TP_UNLIKELY(seal.face != how->face || (how->size != TP_SIZE_UNTOLD && how->size != size)))
        tp_checked_stop_unless_like(p, harden_slot(page, p), size, seal.face, how);
    tp_seal_wipe(p, page->block_size, seal.slop);
}

void tp_harden_resize(const struct tp_page *page, void *p, size_t size)
{
    char *block = p;
    struct tp_seal seal = harden_open(page, block);
    size_t old = page->block_size - seal.slop, pattern = tp_seal_pattern_bytes(seal.slop);
    memset(block + tp_min(old, size), 0, old + pattern - tp_min(old, size));
    tp_seal_close(block, page->block_size, size, seal.face);
}

/* --- the ring ------------------------------------------------------------------------------------------------- */

static struct tp_page *harden_page(const void *p)
{
    size_t unit = tp_unit_of(p);
    return &tp_space.pages[unit - (tp_peek(&tp_space.owners[unit]) & TP_OWNER_BACK_MASK)];
}

/* Link and proof will stand where this is looked at; what is behind them is looked at later. */
static void harden_check_beginning(const struct tp_page *page, const char *p)
{
    if (TP_UNLIKELY(!tp_seal_begins_zero(p)))
        tp_heap_stop_modified(page, p);
}

void tp_harden_send_home(struct tp_thread *thread, char *p)
{
    struct tp_page *page = harden_page(p);
    harden_check_beginning(page, p);
    if (thread == NULL)
        tp_mail_deliver(page, p);
    else if (tp_peek(&page->owner) != thread->id)
        tp_mail_send(thread, page, p);
    else
        tp_heap_put(page, (struct tp_block *)p, (struct tp_block *)p, 1);
}

static void harden_check_span(const struct tp_page *span)
{
    const char *end = span->start + HARDEN_LARGE_LOOKED, *changed = tp_seal_find_nonzero(span->start, end);
    if (TP_UNLIKELY(changed != end))
        tp_stop(TP_FREED_POOL_MODIFIED, (uintptr_t)changed, 1, 0, changed, tp_tags[span->slot].tag);
}

static void harden_send_span_home(struct tp_page *span)
{
    harden_check_span(span);
    tp_large_give_wiped(span);
}

void tp_harden_check_ring(void)
{
    const struct tp_harden_ring *ring = tp_gate_self->ring;
    for (unsigned i = 0; ring != NULL && i < TP_HARDEN_PLACES; i++) {
        const char *p = ring->blocks[i];
        const struct tp_page *page = p != NULL ? harden_page(p) : NULL;
        if (page != NULL && !(tp_seal_begins_zero(p) && tp_seal_is_blank(p, page->block_size)))
            tp_heap_stop_modified(page, p);
    }
    for (unsigned i = 0; ring != NULL && i < TP_HARDEN_SPANS; i++)
        if (ring->spans[i] != NULL)
            harden_check_span(ring->spans[i]);
}

/* --- threads -------------------------------------------------------------------------------------------------- */

/* Out of the ring first: in a child of a fork at this moment it must not go home twice. */
static void harden_empty(struct tp_thread *thread, struct tp_harden_ring *ring)
{
    for (unsigned i = 0; i < TP_HARDEN_PLACES; i++) {
        void *p = ring->blocks[i];
        tp_publish(&ring->blocks[i], NULL);
        if (p != NULL)
            tp_harden_send_home(thread, p);
    }
    for (unsigned i = 0; i < TP_HARDEN_SPANS; i++) {
        struct tp_page *span = ring->spans[i];
        tp_publish(&ring->spans[i], NULL);
        if (span != NULL)
            harden_send_span_home(span);
    }
}

void tp_harden_flush(struct tp_thread *thread)
{
    if (thread->ring != NULL)
        harden_empty(thread, thread->ring);
}

static void harden_end_thread(struct tp_thread *thread)
{
    struct tp_harden_ring *ring = thread->ring;
    if (ring == NULL)
        return;
    harden_empty(NULL, ring);
    thread->ring = thread->gate->ring = NULL;
    tp_metadata_free(ring, sizeof(*ring));
}

/*
 * In a child of a fork: a block counts as live as long as its page misses it (F3).  Pages of threads that are not here
 * are not walked any more, so nobody else misses it there.
 */
static void harden_adopt_block(struct tp_thread *self, void *p)
{
    struct tp_page *page = harden_page(p);
    const struct tp_thread *owner = tp_thread_of(tp_peek(&page->owner));
    if (owner == NULL)
        return;
    if (owner == self)
        tp_heap_put(page, p, p, 1);
    else if (owner->state == TP_THREAD_ORPHANS)
        tp_mail_deliver(page, p);
    else if (!tp_page_is_mixed(page))
        page->used--;
}

static void harden_adopt_ring(struct tp_thread *self, struct tp_harden_ring *ring)
{
    for (unsigned i = 0; i < TP_HARDEN_PLACES; i++)
        if (ring->blocks[i] != NULL)
            harden_adopt_block(self, ring->blocks[i]);
    memset(ring->blocks, 0, sizeof(ring->blocks));
}

/* Spans in rings of threads that are not here stay there: space, and no memory. */
static void harden_adopt(struct tp_thread *self)
{
    for (uint32_t index = 0; index < tp_thread_count(); index++) {
        struct tp_thread *thread = tp_thread_at(index);
        if (thread->ring != NULL)
            harden_adopt_ring(self, thread->ring);
        if (thread != self)
            thread->ring = NULL;
    }
}

static TP_NOINLINE struct tp_harden_ring *harden_make_ring(struct tp_thread *thread)
{
    static struct tp_thread_keeper keeper = {.end = harden_end_thread, .adopt = harden_adopt};
    tp_thread_add_keeper(&keeper);
    thread->ring = tp_metadata_alloc(sizeof(*thread->ring));
    if (thread->ring != NULL)
        thread->ring->dice = (uint32_t)(tp_seal_link_key((const char *)thread->ring) >> 20);
    thread->gate->ring = thread->ring;
    return thread->ring;
}

static struct tp_harden_ring *harden_ring(struct tp_thread *thread)
{
    if (TP_UNLIKELY(thread == NULL))
        return NULL;
    return TP_LIKELY(thread->ring != NULL) ? thread->ring : harden_make_ring(thread);
}

/* The block that leaves the ring for this one; NULL: none yet. */
static void *harden_swap(struct tp_harden_ring *ring, const struct tp_page *page, void *p)
{
    void **place = page->block_size <= TP_OS_PAGE
                       ? &ring->blocks[ring->next]
                       : &ring->blocks[TP_HARDEN_BLOCKS + tp_harden_throw(ring, TP_HARDEN_LONGER)];
    void *old = *place;
    *place = p;
    ring->next = tp_harden_next(ring);
    return old;
}

void tp_harden_detain(struct tp_thread *thread, struct tp_page *page, void *p)
{
    struct tp_harden_ring *ring = harden_ring(thread);
    void *old = ring != NULL ? harden_swap(ring, page, p) : p;
    if (old != NULL)
        tp_harden_send_home(thread, old);
}

/* --- large blocks --------------------------------------------------------------------------------------------- */

/* None where a block has no byte more than was asked for: the engine's, of huge pages. */
static size_t harden_large_pattern(const struct tp_page *span)
{
    return tp_min(span->large_size - span->large_asked, TP_SEAL_PATTERN);
}

void tp_harden_check_large(const struct tp_page *span)
{
    const char *end = span->start + span->large_asked;
    size_t pattern = harden_large_pattern(span);
    if (TP_UNLIKELY(pattern != 0 && !tp_seal_is_drawn_long(end, pattern)))
        harden_stop_overrun(span->start, tp_seal_find_change(end, pattern), tp_tags[span->slot].tag);
}

void tp_harden_make_large(struct tp_page *span, size_t size, enum tagpool_report_face face)
{
    span->large_asked = size;
    span->large_face = face;
    tp_seal_draw_long(span->start + size, harden_large_pattern(span));
}

void tp_harden_resize_large(struct tp_page *span, size_t size)
{
    tp_harden_make_large(span, size, span->large_face);
}

void tp_harden_free_large(struct tp_thread *thread, struct tp_page *span, void *p, const struct tp_checked_free *how)
{
    if (p != span->start)
        tp_large_stop_middle(span, p);
    tp_harden_check_large(span);
    tp_checked_stop_unless_match(p, span->slot, span->large_asked, span->large_face, how);
    tp_large_end(span, p);
    tp_large_wipe(span);
    tp_publish(&span->state, TP_UNIT_DETAINED);
    struct tp_harden_ring *ring = harden_ring(thread);
    struct tp_page *old = span;
    if (ring != NULL) {
        struct tp_page **place = &ring->spans[tp_harden_throw(ring, TP_HARDEN_SPANS)];
        old = *place;
        *place = span;
    }
    if (old != NULL)
        harden_send_span_home(old);
}
