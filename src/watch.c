#include "watch.h"
#include "ahead.h"
#include "mail.h"
#include "metadata.h"
#include "os.h"
#include "side.h"
#include "span.h"
#include "watched.h"

#include <string.h>

/*
 * Quarantine of a thread: so many blocks, unless more or fewer are asked for, and so many bytes of them.  What is in it
 * is looked at when it leaves, so the processor's nearer caches should hold it.
 */
#define WATCH_BLOCKS 1024u
#define WATCH_BLOCKS_DEFAULT 128u
#define WATCH_BYTES (32 * TP_KIB)

/* A block in quarantine; its page stays where it is meanwhile. */
struct watch_detained {
    char *p;
    uint32_t unit; /* of its page */
    uint32_t index;
};

struct tp_watch_quarantine {
    uint32_t first;
    uint32_t count;
    size_t bytes;
    struct watch_detained blocks[WATCH_BLOCKS];
};

static uint32_t watch_blocks_most = WATCH_BLOCKS_DEFAULT;

void tp_watch_configure(uint32_t quarantine)
{
    if (quarantine != 0)
        watch_blocks_most = (uint32_t)tp_min(quarantine, WATCH_BLOCKS);
}

/* --- looks ---------------------------------------------------------------------------------------------------- */

void tp_watched_look_behind(const struct tp_page *page, uint32_t index, const char *p)
{
    const struct tp_watch *watch = &page->watch[index];
    const char *changed = tp_checked_find_change(p + watch->size, p + page->block_size, tp_watched_live(index));
    if (changed != NULL)
        tp_stop(TP_SPECIAL_OVERRUN_FOUND, (uintptr_t)p, (uintptr_t)changed, 0, changed,
                tp_tags[tp_side_last_slot(page, index)].tag);
}

void tp_watched_look_freed(const struct tp_page *page, uint32_t index, const char *from, const char *to)
{
    const char *changed = tp_checked_find_change(from, to, tp_watched_freed(index));
    if (changed != NULL)
        tp_stop(TP_FREED_POOL_MODIFIED, (uintptr_t)changed, 1, 0, changed, tp_tags[tp_side_last_slot(page, index)].tag);
}

bool tp_watch_resize(struct tp_page *page, uint32_t index, void *p, size_t size)
{
    struct tp_watch *watch = &page->watch[index];
    if (size + TP_WATCH_ZONE > page->block_size || tp_checked_bytes(size) != tp_checked_bytes(watch->size))
        return false;
    tp_watched_check_behind(page, index, p);
    tp_watched_step(watch);
    watch->size = (uint32_t)size;
    tp_checked_fill_run((char *)p + size, (char *)p + page->block_size, tp_watched_live(index));
    tp_publish(&watch->life, (uint8_t)(watch->life + TP_WATCH_LIFE_STEPS - 1));
    return true;
}

/* --- free ----------------------------------------------------------------------------------------------------- */

TP_INLINE struct tp_page *watch_page(struct watch_detained block)
{
    return &tp_space.pages[block.unit];
}

/* On its page's list again, sooner or later. */
TP_INLINE void watch_send_home(struct tp_thread *thread, struct watch_detained block)
{
    struct tp_page *page = watch_page(block);
    tp_watched_check_freed(page, block.index, block.p, block.p + TP_WATCH_LINK);
    if (TP_UNLIKELY(thread == NULL))
        tp_mail_deliver(page, block.p);
    else if (TP_UNLIKELY(tp_peek(&page->owner) != thread->id))
        tp_mail_send(thread, page, block.p);
    else if (TP_UNLIKELY(tp_page_push(page, block.p)))
        tp_heap_woken(page);
}

TP_INLINE struct watch_detained quarantine_take(struct tp_watch_quarantine *quarantine)
{
    struct watch_detained block = quarantine->blocks[quarantine->first % WATCH_BLOCKS];
    quarantine->first++;
    quarantine->count--;
    quarantine->bytes -= watch_page(block)->block_size;
    return block;
}

/* The one that leaves next was not touched for long. */
TP_INLINE void quarantine_put(struct tp_watch_quarantine *quarantine, struct watch_detained block)
{
    quarantine->blocks[(quarantine->first + quarantine->count) % WATCH_BLOCKS] = block;
    quarantine->count++;
    quarantine->bytes += watch_page(block)->block_size;
    tp_prefetch_for_write(quarantine->blocks[quarantine->first % WATCH_BLOCKS].p);
}

TP_INLINE bool quarantine_is_full(const struct tp_watch_quarantine *quarantine)
{
    return quarantine->count >= watch_blocks_most || (quarantine->bytes >= WATCH_BYTES && quarantine->count > 0);
}

static void watch_empty_quarantine(struct tp_thread *thread)
{
    while (thread->quarantine->count > 0) {
        watch_send_home(thread, quarantine_take(thread->quarantine));
    }
}

/* --- allocate ----------------------------------------------------------------------------------------------------- */

static unsigned watch_class(const struct tp_checked_request *request)
{
    const struct tp_class_table *table = tp_tag_classes(request->slot);
    size_t size = tp_watch_room(request->size);
    if (request->alignment > 16)
        return tp_class_of_aligned(table, size, request->alignment);
    return size <= TP_CLASS_MAX_SIZE ? tp_class_of(table, size) : TP_CLASS_LIMIT;
}

/* Nonpaged memory is scarce: what waits in quarantine is given up for a request that finds none. */
static void *watch_take(struct tp_thread *thread, const struct tp_mixed_request *mixed, struct tp_page **page)
{
    void *block = tp_heap_alloc_watched(thread, mixed, page);
    if (TP_LIKELY(block != NULL) || tp_tags[mixed->slot].region != 0 || thread->quarantine == NULL)
        return block;
    watch_empty_quarantine(thread);
    return tp_heap_alloc_watched(thread, mixed, page);
}

void *tp_watch_alloc(struct tp_thread *thread, const struct tp_checked_request *request)
{
    struct tp_page *page;
    unsigned class = request->size <= TP_CLASS_MAX_SIZE ? watch_class(request) : TP_CLASS_LIMIT;
    if (class == TP_CLASS_LIMIT || thread == NULL)
        return NULL;
    const struct tp_mixed_request mixed = {request->slot, request->account, class, tp_checked_bytes(request->size)};
    void *block = watch_take(thread, &mixed, &page);
    if (block == NULL)
        return NULL;
    const struct tp_watched_start start = {(uint32_t)request->size, tp_trace_take(request->call, request->trace),
                                           thread->kernel_id, (uint8_t)request->face, request->zero};
    return tp_watched_begin(page, tp_page_index(page, block), block, start);
}

/* --- threads -------------------------------------------------------------------------------------------------- */

/* A thread ends: what it freed goes home. */
static void watch_end_thread(struct tp_thread *thread)
{
    struct tp_watch_quarantine *quarantine = thread->quarantine;
    if (quarantine == NULL)
        return;
    while (quarantine->count > 0) {
        watch_send_home(NULL, quarantine_take(quarantine));
    }
    thread->quarantine = NULL;
    tp_metadata_free(quarantine, sizeof(*quarantine));
}

/* A child of a fork: other threads' quarantines stay as they are for good, as their pages do. */
static void watch_adopt(struct tp_thread *self)
{
}

static TP_NOINLINE struct tp_watch_quarantine *watch_make_quarantine(struct tp_thread *thread)
{
    static struct tp_thread_keeper keeper = {.end = watch_end_thread, .adopt = watch_adopt};
    tp_thread_add_keeper(&keeper);
    tp_ahead_begin();
    return thread->quarantine = tp_metadata_alloc(sizeof(*thread->quarantine));
}

TP_INLINE struct tp_watch_quarantine *watch_quarantine(struct tp_thread *thread)
{
    return TP_LIKELY(thread->quarantine != NULL) ? thread->quarantine : watch_make_quarantine(thread);
}

void tp_watch_detain(struct tp_thread *thread, const struct tp_page *page, uint32_t index, void *p)
{
    const struct watch_detained block = {p, (uint32_t)tp_page_unit(page), index};
    struct tp_watch_quarantine *quarantine = thread != NULL ? watch_quarantine(thread) : NULL;
    if (TP_UNLIKELY(quarantine == NULL)) {
        watch_send_home(thread, block);
        return;
    }
    while (quarantine_is_full(quarantine))
        watch_send_home(thread, quarantine_take(quarantine));
    quarantine_put(quarantine, block);
}

/* --- all of them ---------------------------------------------------------------------------------------------- */

static void watch_check_quarantine(const struct tp_thread *thread)
{
    const struct tp_watch_quarantine *quarantine = tp_peek(&thread->quarantine);
    for (uint32_t i = 0; quarantine != NULL && i < quarantine->count; i++) {
        const struct watch_detained *block = &quarantine->blocks[(quarantine->first + i) % WATCH_BLOCKS];
        tp_watched_check_freed(watch_page(*block), block->index, block->p, block->p + TP_WATCH_LINK);
    }
}

/*
 * Other threads may be at work.  A page is looked at by a copy of its descriptor, for it may be retired and its units
 * serve another one: what is read there counts while the descriptor says the same.  Its memory is readable for good.
 */
struct watch_look {
    const struct tp_page *page;
    struct tp_page copy;
};

static bool TP_RACES watch_look_holds(const struct watch_look *look)
{
    const struct tp_page *page = look->page, *copy = &look->copy;
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    return tp_peek(&page->state) == TP_UNIT_BLOCKS && tp_peek(&page->watched) && tp_peek(&page->watch) == copy->watch &&
           tp_peek(&page->block_size) == copy->block_size;
}

static bool TP_RACES watch_look_at(struct watch_look *look, const struct tp_page *page)
{
    if (__atomic_load_n(&page->state, __ATOMIC_ACQUIRE) != TP_UNIT_BLOCKS || !tp_peek(&page->watched))
        return false;
    look->page = page;
    look->copy = *page;
    return look->copy.watch != NULL && watch_look_holds(look);
}

/* The first byte that is not as it should be while a block lives, or is at rest, since `life`; NULL: none. */
static const char *TP_RACES watch_look_change(const struct watch_look *look, uint32_t index, uint8_t life)
{
    const struct tp_watch *watch = &look->copy.watch[index];
    const char *p = tp_page_block(&look->copy, index), *changed = NULL;
    size_t size = tp_min(tp_peek(&watch->size), look->copy.block_size);
    if (life % TP_WATCH_LIFE_STEPS == TP_WATCH_LIVES)
        changed = tp_checked_find_change(p + size, p + look->copy.block_size, tp_watched_live(index));
    else if (life % TP_WATCH_LIFE_STEPS == TP_WATCH_AT_REST && tp_watched_was_filled(watch))
        changed =
            tp_checked_find_change(p + TP_WATCH_LINK, p + tp_watched_fill_bytes(&look->copy), tp_watched_freed(index));
    if (changed == NULL)
        return NULL;
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    return tp_peek(&watch->life) == life && watch_look_holds(look) ? changed : NULL;
}

static __attribute__((cold)) void watch_look_stop(const struct watch_look *look, uint32_t index, uint8_t life,
                                                  const char *changed)
{
    uint32_t tag = tp_tags[look->copy.watch[index].slot & ~TP_SIDE_FREED].tag;
    if (life % TP_WATCH_LIFE_STEPS == TP_WATCH_LIVES)
        tp_stop(TP_SPECIAL_OVERRUN_FOUND, (uintptr_t)tp_page_block(&look->copy, index), (uintptr_t)changed, 0, changed,
                tag);
    tp_stop(TP_FREED_POOL_MODIFIED, (uintptr_t)changed, 1, 0, changed, tag);
}

/* What looks changed is believed where it does so twice: a life's number comes again after a while. */
static void TP_RACES watch_check_block(const struct watch_look *look, uint32_t index)
{
    uint8_t life = __atomic_load_n(&look->copy.watch[index].life, __ATOMIC_ACQUIRE);
    if (TP_LIKELY(watch_look_change(look, index, life) == NULL))
        return;
    tp_os_sleep_ms(1);
    const char *changed = watch_look_change(look, index, life);
    if (changed != NULL)
        watch_look_stop(look, index, life, changed);
}

static void TP_RACES watch_check_page(const struct tp_page *page)
{
    struct watch_look look;
    if (!watch_look_at(&look, page))
        return;
    for (uint32_t index = 0; index < look.copy.carved; index++)
        watch_check_block(&look, index);
}

static void watch_check_region(unsigned region)
{
    size_t end = tp_span_watermark(region);
    for (size_t unit = tp_span_region_first(region); unit < end; unit++)
        watch_check_page(&tp_space.pages[unit]);
}

void tp_watch_check_all(void)
{
    const struct tp_thread *self = tp_gate_self->thread;
    if (self != NULL)
        watch_check_quarantine(self);
    for (unsigned region = 0; region < TAGPOOL_SEGMENT_REGIONS; region++)
        watch_check_region(region);
}
