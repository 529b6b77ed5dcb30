#include "heap.h"
#include "account.h"
#include "limit.h"
#include "lock.h"
#include "mail.h"
#include "metadata.h"
#include "nonpaged.h"
#include "side.h"
#include "span.h"
#include "track.h"

/* Allocations after which a cold slot gets a heap. */
#define HEAP_WARM_ALLOCS 32

/* A class gets pages of its own when so many bytes of it are live, or after so many calls.  */
#define HEAP_OWN_BYTES (8 * TP_OS_PAGE)
#define HEAP_OWN_ALLOCS 4096

/* Blocks of a mixed page, at most: its side array stays small. */
#define HEAP_MIXED_BLOCKS 256

/* Refills between two looks at what can go back to the system. */
#define HEAP_REFILLS_A_TICK 64

/* So many OS pages of an earlier owner's are not worth a system call. */
#define HEAP_LEFT_PAGES 4

/* An empty page stays current for the next call unless it holds more than this. */
#define HEAP_KEEP_BYTES (64 * TP_KIB)

/* --- cold slots ----------------------------------------------------------------------------------------------- */

struct tp_page *tp_heap_cold_pages[TP_SLOT_COUNT + TP_CLASS_LIMIT];
static uint32_t heap_cold_ready;

void tp_heap_cold_ready(uint32_t slot)
{
    uint32_t ready = tp_peek(&heap_cold_ready);
    for (; ready < slot + TP_CLASS_LIMIT; ready++)
        tp_poke(&tp_heap_cold_pages[ready], &tp_page_none);
    if (ready > tp_peek(&heap_cold_ready))
        tp_publish(&heap_cold_ready, ready);
}

struct tp_heap *tp_heap_cold(uint32_t slot)
{
    if (slot + TP_CLASS_LIMIT > tp_peek(&heap_cold_ready))
        tp_heap_cold_ready(slot);
    return (struct tp_heap *)&tp_heap_cold_pages[slot];
}

/* --- making --------------------------------------------------------------------------------------------------- */

static struct tp_heap *heap_create(struct tp_thread *thread, uint32_t slot, enum tp_layout layout)
{
    struct tp_heap *heap = tp_metadata_alloc(sizeof(*heap));
    if (heap == NULL)
        return NULL;
    for (unsigned class = 0; class < TP_CLASS_LIMIT; class ++)
        heap->page[class] = &tp_page_none;
    heap->slot = slot;
    heap->layout = (uint8_t)layout;
    heap->thread = thread;
    heap->next = thread->heaps;
    thread->heaps = heap;
    return heap;
}

/* What threads before this one have earned: pages that they left wait to be claimed. */
static struct tp_heap *heap_left_behind(uint32_t slot)
{
    return __atomic_load_n(&tp_thread_orphans->slots[slot].heap, __ATOMIC_ACQUIRE);
}

static struct tp_heap *heap_of_slot(struct tp_thread *thread, uint32_t slot)
{
    struct tp_thread_slot *entry = &thread->slots[slot];
    if (entry->heap != NULL)
        return entry->heap;
    struct tp_heap *heap = heap_create(thread, slot, (enum tp_layout)tp_tags[slot].layout);
    const struct tp_heap *left = heap_left_behind(slot);
    if (heap != NULL && left != NULL) {
        heap->owned = tp_peek(&left->owned);
        heap->proven = tp_peek(&left->proven);
    }
    if (slot >= thread->slots_used)
        thread->slots_used = slot + 1;
    __atomic_store_n(&entry->heap, heap, __ATOMIC_RELEASE);
    return heap;
}

static struct tp_heap *heap_mixed(struct tp_thread *thread, enum tp_layout layout, bool watched)
{
    struct tp_heap **mixed = &thread->mixed[layout + (watched ? TP_LAYOUT_COUNT : 0)];
    if (*mixed != NULL)
        return *mixed;
    *mixed = heap_create(thread, TAGPOOL_SEGMENT_NO_SLOT, layout);
    if (*mixed != NULL)
        (*mixed)->watched = watched;
    return *mixed;
}

static bool heap_is_mixed(const struct tp_heap *heap)
{
    return heap->slot == TAGPOOL_SEGMENT_NO_SLOT;
}

/* --- queues --------------------------------------------------------------------------------------------------- */

static void queue_append(struct tp_heap *heap, struct tp_page *page)
{
    unsigned class = page->class;
    struct tp_page *tail = heap->tail[class];
    page->next = NULL;
    page->prev = tail;
    if (tail != NULL)
        tail->next = page;
    else
        heap->page[class] = page;
    heap->tail[class] = page;
}

static void queue_remove(struct tp_heap *heap, struct tp_page *page)
{
    unsigned class = page->class;
    if (page->next != NULL)
        page->next->prev = page->prev;
    else
        heap->tail[class] = page->prev;
    if (page->prev != NULL)
        page->prev->next = page->next;
    else
        heap->page[class] = page->next != NULL ? page->next : &tp_page_none;
}

static void full_push(struct tp_heap *heap, struct tp_page *page)
{
    page->prev = NULL;
    page->next = heap->full;
    if (page->next != NULL)
        page->next->prev = page;
    heap->full = page;
}

static void full_remove(struct tp_heap *heap, struct tp_page *page)
{
    if (page->next != NULL)
        page->next->prev = page->prev;
    if (page->prev != NULL)
        page->prev->next = page->next;
    else
        heap->full = page->next;
}

/* What the owner words of a page say. */
static uint64_t heap_owner_word(const struct tp_heap *heap)
{
    bool ask = heap_is_mixed(heap) || heap->armed || heap->thread == tp_thread_orphans;
    return ask ? TP_OWNER_ASK : heap->thread->id | (tp_seal_is_on() ? TP_OWNER_SEALED : 0);
}

static void heap_close_page(struct tp_heap *heap, struct tp_page *page)
{
    queue_remove(heap, page);
    full_push(heap, page);
    page->wake = TP_PAGE_WAKE_FULL;
    tp_poke(&heap->proven, heap->proven | UINT64_C(1) << page->class);
}

static void heap_open_page(struct tp_heap *heap, struct tp_page *page)
{
    full_remove(heap, page);
    queue_append(heap, page);
    page->wake = TP_PAGE_WAKE_EMPTY;
}

/* --- estimates ------------------------------------------------------------------------------------------------ */

/* Tell the tag what the page's live bytes are now.  Mixed pages charge nothing: they belong to no tag. */
static void heap_charge(struct tp_page *page)
{
    size_t live = tp_page_live_bytes(page);
    if (tp_page_is_mixed(page) || live == page->charged)
        return;
    tp_tag_charge(page->slot, (int64_t)live - (int64_t)page->charged);
    page->charged = live;
}

static void heap_touched(int64_t bytes)
{
    __atomic_fetch_add(&tp_segment->touched_bytes, (uint64_t)bytes, __ATOMIC_RELAXED);
}

/* More of a page is to be carved: so many bytes of blocks, in so many bytes of memory (J1). */
static bool heap_grow_bounds(const struct tp_page *page, size_t blocks, size_t memory)
{
    struct tp_meter *tag = &tp_tags[page->slot].meter;
    if (!tp_page_is_mixed(page) && !tp_limit_grow(tag, blocks))
        return false;
    if (tp_limit_grow(&tp_limit_pools[page->region], memory))
        return true;
    if (!tp_page_is_mixed(page))
        tp_limit_shrink(tag, blocks);
    return false;
}

static void heap_shrink_bounds(const struct tp_page *page, size_t blocks, size_t memory)
{
    if (!tp_page_is_mixed(page))
        tp_limit_shrink(&tp_tags[page->slot].meter, blocks);
    tp_limit_shrink(&tp_limit_pools[page->region], memory);
}

/* --- pages ---------------------------------------------------------------------------------------------------- */

/* Memory that the first blocks of a page need. */
static size_t heap_bytes_of(const struct tp_page *page, uint32_t blocks)
{
    size_t bytes = tp_round_up((size_t)blocks * page->block_size, TP_OS_PAGE);
    return tp_min(bytes, (size_t)page->units << TP_UNIT_SHIFT);
}

static size_t heap_carved_bytes(const struct tp_page *page)
{
    return heap_bytes_of(page, page->carved);
}

static uint32_t heap_capacity(const struct tp_page *page, bool mixed)
{
    size_t bytes = (size_t)page->units << TP_UNIT_SHIFT;
    size_t each = page->table == TP_TABLE_POOL ? TP_OS_PAGE / page->block_size : 0;
    size_t blocks = each > 0 ? each * (bytes / TP_OS_PAGE) : bytes / page->block_size;
    if (mixed && blocks > HEAP_MIXED_BLOCKS)
        blocks = each > 0 ? HEAP_MIXED_BLOCKS / each * each : HEAP_MIXED_BLOCKS;
    return (uint32_t)blocks;
}

/* OS pages of the i-th unit that the first `bytes` of a span reach. */
static size_t heap_pages_of_unit(size_t bytes, uint32_t i)
{
    size_t before = (size_t)i << TP_UNIT_SHIFT;
    return bytes <= before ? 0 : tp_min(bytes - before, TP_UNIT) >> TP_OS_PAGE_SHIFT;
}

/* Memory that earlier owners left behind a page, in OS pages. */
static size_t heap_left_pages(const struct tp_page *page)
{
    size_t pages = 0;
    for (uint32_t i = 0; i < page->units; i++)
        pages += page[i].touched_pages;
    return pages;
}

/*
 * What earlier owners touched stays behind a page.  What this page cannot use goes back; so does the rest of a page
 * whose class never proven one, or a thousand tags would keep what one of them once needed.
 */
static void heap_trim_page(struct tp_heap *heap, struct tp_page *page)
{
    size_t all = (size_t)page->units << TP_UNIT_SHIFT;
    size_t keep = tp_round_up((size_t)page->capacity * page->block_size, TP_OS_PAGE);
    bool unproven = !heap_is_mixed(heap) && (heap->proven >> page->class & 1) == 0;
    if (unproven && page->block_size < TP_OS_PAGE)
        keep = TP_OS_PAGE;
    if (page->region == 0 || heap_left_pages(page) <= (keep >> TP_OS_PAGE_SHIFT) + HEAP_LEFT_PAGES)
        return;
    tp_poke(&heap->proven, heap->proven | UINT64_C(1) << page->class);
    tp_os_purge(page->start + keep, all - keep, tp_space_backing);
    for (uint32_t i = 0; i < page->units; i++)
        page[i].touched_pages = (uint8_t)heap_pages_of_unit(keep, i);
}

static void heap_fill_page(struct tp_heap *heap, struct tp_page *page, unsigned class)
{
    page->free = NULL;
    page->sealed = NULL;
    page->carved = 0;
    page->used = 0;
    page->charged = 0;
    page->heap = heap;
    page->start = tp_unit_address(tp_page_unit(page));
    page->table = heap->layout == TP_LAYOUT_MALLOC ? TP_TABLE_PACKED : TP_TABLE_POOL;
    page->class = (uint8_t) class;
    page->block_size = tp_class_tables[page->table].size[class];
    page->slot = (uint16_t)heap->slot;
    page->wake = TP_PAGE_WAKE_EMPTY;
    page->side = NULL;
    page->accounts = NULL;
    page->tracks = NULL;
    page->watched = heap->watched;
    page->capacity = heap_capacity(page, heap_is_mixed(heap));
    heap_trim_page(heap, page);
    page->is_new = 0;
    tp_poke(&page->owner, heap->thread->id);
}

static struct tp_page *heap_take_page(struct tp_heap *heap, unsigned class)
{
    unsigned region = heap->layout == TP_LAYOUT_NONPAGED ? 0 : 1;
    size_t size = tp_class_tables[heap->layout == TP_LAYOUT_MALLOC ? TP_TABLE_PACKED : TP_TABLE_POOL].size[class];
    struct tp_page *page = tp_span_alloc(region, tp_class_units(size), 1);
    if (page == NULL)
        return NULL;
    heap_fill_page(heap, page, class);
    if (heap_is_mixed(heap) && !tp_side_make(page)) {
        tp_span_free(page);
        return NULL;
    }
    tp_poke(&page->state, TP_UNIT_BLOCKS);
    tp_account_assign(page);
    queue_append(heap, page);
    tp_page_set_owner(page, heap_owner_word(heap));
    return page;
}

/* An empty page leaves its heap: any tag may have its units next. */
static void heap_retire_page(struct tp_page *page)
{
    struct tp_heap *heap = page->heap;
    size_t carved = heap_carved_bytes(page);
    /* First: a child of a fork at this moment must not look for the slots of the page's blocks. */
    tp_publish(&page->state, TP_UNIT_UNUSED);
    queue_remove(heap, page);
    tp_page_set_owner(page, TP_OWNER_NONE);
    tp_poke(&page->owner, TP_OWNER_NONE);
    if (page->region == 0 && carved > 0)
        tp_nonpaged_unlock(page->start, carved);
    tp_side_free(page);
    tp_track_free(page);
    page->watched = 0;
    page->free = NULL;
    page->sealed = NULL;
    heap_shrink_bounds(page, (size_t)page->carved * page->block_size, carved);
    heap_touched(-(int64_t)carved);
    for (uint32_t i = 0; i < page->units; i++)
        page[i].touched_pages = (uint8_t)tp_max(page[i].touched_pages, heap_pages_of_unit(carved, i));
    tp_span_free(page);
}

static bool heap_extend_page(struct tp_page *page)
{
    uint32_t count = tp_page_extension(page);
    size_t before = heap_carved_bytes(page);
    size_t more = heap_bytes_of(page, page->carved + count) - before;
    size_t blocks = (size_t)count * page->block_size;
    if (count == 0 || !heap_grow_bounds(page, blocks, more))
        return false;
    /* Nonpaged memory is wired before it is touched: by whole OS pages, which classes of that table fill. */
    if (page->region == 0 && !tp_nonpaged_lock(page->start + before, more)) {
        heap_shrink_bounds(page, blocks, more);
        return false;
    }
    tp_page_extend(page);
    heap_touched((int64_t)more);
    heap_charge(page);
    return true;
}

/* --- refill --------------------------------------------------------------------------------------------------- */

/* The first page of a queue that has a block; pages that ran out leave the queue on the way (E2). */
static struct tp_page *heap_search(struct tp_heap *heap, unsigned class)
{
    for (;;) {
        struct tp_page *page = heap->page[class];
        if (page == &tp_page_none)
            return NULL;
        if (tp_page_has_block(page))
            return page;
        struct tp_page *next = page->next;
        if (page->carved < page->capacity && next != NULL && tp_page_has_block(next)) {
            /* Blocks that came back are used before new memory is touched. */
            queue_remove(heap, page);
            queue_append(heap, page);
            return next;
        }
        if (heap_extend_page(page))
            return page;
        if (page->carved < page->capacity)
            return NULL; /* the nonpaged pool is exhausted, or a limit near */
        heap_charge(page);
        heap_close_page(heap, page);
    }
}

/* Under TP_LOCK_ORPHANS: move a page to another heap, full or not. */
static void heap_move_page(struct tp_page *page, struct tp_heap *to)
{
    struct tp_heap *from = page->heap;
    if (tp_page_is_full(page))
        full_remove(from, page);
    else
        queue_remove(from, page);
    page->heap = to;
    if (tp_page_is_full(page))
        full_push(to, page);
    else
        queue_append(to, page);
    tp_page_set_owner(page, heap_owner_word(to));
    /* Last, and seen first by whoever frees without the lock: the heap is in place when the owner is. */
    __atomic_store_n(&page->owner, to->thread->id, __ATOMIC_RELEASE);
}

static struct tp_heap *heap_of_orphans(const struct tp_heap *heap)
{
    if (heap_is_mixed(heap))
        return tp_thread_orphans->mixed[heap->layout + (heap->watched ? TP_LAYOUT_COUNT : 0)];
    return tp_thread_orphans->slots[heap->slot].heap;
}

/* A page that a thread left behind, of the same slot and class. */
static struct tp_page *heap_claim(struct tp_heap *heap, unsigned class)
{
    if (heap->thread == tp_thread_orphans)
        return NULL;
    tp_lock(TP_LOCK_ORPHANS);
    struct tp_heap *orphans = heap_of_orphans(heap);
    struct tp_page *page = orphans != NULL ? heap_search(orphans, class) : NULL;
    if (page != NULL)
        heap_move_page(page, heap);
    tp_unlock(TP_LOCK_ORPHANS);
    return page;
}

/* A new page, or none when not even its first block is to be had. */
static struct tp_page *heap_grow(struct tp_heap *heap, unsigned class)
{
    struct tp_page *page = heap_take_page(heap, class);
    if (page == NULL || heap_search(heap, class) != NULL)
        return page;
    heap_retire_page(page);
    return NULL;
}

/* A page with a free block at the head of the class's queue; NULL when memory is exhausted. */
static struct tp_page *heap_refill(struct tp_heap *heap, unsigned class)
{
    if (++heap->thread->refills % HEAP_REFILLS_A_TICK == 0)
        tp_span_tick();
    tp_mail_collect(heap->thread);
    struct tp_page *page = heap_search(heap, class);
    if (page == NULL)
        page = heap_claim(heap, class);
    /* A page still there has room that the nonpaged pool refuses: another page would not help. */
    if (page == NULL && heap->page[class] == &tp_page_none)
        page = heap_grow(heap, class);
    return page;
}

/* A link that was right is zero by now. */
void tp_heap_stop_modified(const struct tp_page *page, const char *block)
{
    const char *end = block + page->block_size, *changed = tp_seal_find_nonzero(block, end);
    uint32_t slot = tp_page_is_mixed(page) ? tp_side_last_slot(page, tp_page_index(page, block)) : page->slot;
    changed = changed == end ? block : changed;
    tp_stop(TP_FREED_POOL_MODIFIED, (uintptr_t)changed, 1, 0, changed, tp_tags[slot % TP_SLOT_COUNT].tag);
}

void *tp_heap_pop_sealed(struct tp_page *page)
{
    if (page->sealed == NULL)
        return NULL;
    char *block = tp_heap_unlink(page);
    if (TP_UNLIKELY(!tp_seal_is_blank(block, page->block_size)))
        tp_heap_stop_modified(page, block);
    return block;
}

/* A block of its free list; NULL: there is none. */
static void *heap_take_block(struct tp_page *page)
{
    return tp_page_is_sealed(page) ? tp_heap_pop_sealed(page) : tp_page_pop(page);
}

static void *heap_pop(struct tp_heap *heap, unsigned class, struct tp_page **from)
{
    struct tp_page *page = heap->page[class];
    void *block = heap_take_block(page);
    if (block == NULL) {
        page = heap_refill(heap, class);
        block = page != NULL ? heap_take_block(page) : NULL;
    }
    *from = page;
    if (TP_CHECKED && block != NULL)
        tp_page_check(page);
    return block;
}

/* --- mixed pages ---------------------------------------------------------------------------------------------- */

static void *heap_pop_mixed(struct tp_heap *mixed, const struct tp_mixed_request *request, struct tp_page **page)
{
    void *block = heap_pop(mixed, request->class, page);
    if (block == NULL || tp_side_give(*page, tp_page_index(*page, block), request->slot, request->account))
        return block;
    tp_heap_put(*page, block, block, 1);
    return NULL;
}

static void *heap_alloc_mixed(struct tp_heap *mixed, const struct tp_mixed_request *request, struct tp_page **page)
{
    uint32_t slot = request->slot;
    if (mixed == NULL || !tp_limit_grow(&tp_tags[slot].meter, request->size))
        return NULL;
    void *block = heap_pop_mixed(mixed, request, page);
    if (block != NULL)
        tp_account_alloc(mixed->thread, slot, request->size);
    else
        tp_limit_shrink(&tp_tags[slot].meter, request->size);
    return block;
}

void *tp_heap_alloc_charged(struct tp_thread *thread, uint32_t slot, unsigned class, uint32_t account)
{
    const struct tp_mixed_request request = {slot, account, class, tp_tag_classes(slot)->size[class]};
    struct tp_page *page;
    return heap_alloc_mixed(heap_mixed(thread, (enum tp_layout)tp_tags[slot].layout, false), &request, &page);
}

void *tp_heap_alloc_watched(struct tp_thread *thread, const struct tp_mixed_request *request, struct tp_page **page)
{
    struct tp_heap *watched = heap_mixed(thread, (enum tp_layout)tp_tags[request->slot].layout, true);
    return heap_alloc_mixed(watched, request, page);
}

/* Charged blocks come from mixed pages always, so they prove nothing. */
static void heap_side_note_put(struct tp_page *page, const void *block)
{
    uint32_t index = tp_page_index(page, block);
    struct tp_heap *heap = page->heap->thread->slots[tp_side_last_slot(page, index)].heap;
    if (heap != NULL && heap->mixed_live[page->class] > 0 && tp_side_account(page, index) == TP_ACCOUNT_NONE)
        heap->mixed_live[page->class]--;
}

/* A class has earned pages of its own. */
static bool heap_is_earned(struct tp_heap *heap, unsigned class)
{
    size_t size = tp_tag_classes(heap->slot)->size[class];
    return heap->mixed_allocs[class] >= HEAP_OWN_ALLOCS || heap->mixed_live[class] * size >= HEAP_OWN_BYTES;
}

static void heap_note_mixed(struct tp_heap *heap, unsigned class)
{
    heap->mixed_allocs[class]++;
    if (heap->mixed_live[class] < UINT16_MAX)
        heap->mixed_live[class]++;
    if (heap_is_earned(heap, class))
        heap->owned |= UINT64_C(1) << class;
}

/* --- limits --------------------------------------------------------------------------------------------------- */

static void heap_write_owners(const struct tp_heap *heap, struct tp_page *page)
{
    for (; page != NULL; page = page->next)
        if (page != &tp_page_none)
            tp_page_set_owner(page, heap_owner_word(heap));
}

/* A limit came near or went away since this thread's last call (E4).  Frees that it made meanwhile were not seen. */
static void heap_arm(struct tp_heap *heap, bool armed)
{
    heap->armed = armed;
    heap_write_owners(heap, heap->full);
    for (unsigned class = 0; class < TP_CLASS_LIMIT; class ++)
        heap_write_owners(heap, heap->page[class]);
}

/* --- the interface -------------------------------------------------------------------------------------------- */

static struct tp_heap *heap_once_warm(struct tp_thread *thread, uint32_t slot)
{
    bool warm = ++thread->slots[slot].cold_allocs >= HEAP_WARM_ALLOCS || heap_left_behind(slot) != NULL;
    return warm ? heap_of_slot(thread, slot) : NULL;
}

static void *heap_alloc_owned(struct tp_heap *heap, unsigned class)
{
    struct tp_page *page;
    void *block = heap_pop(heap, class, &page);
    if (block != NULL)
        tp_page_count_alloc(page);
    return block;
}

void *tp_heap_alloc_warm(struct tp_heap *heap, unsigned class)
{
    if (TP_LIKELY(heap->owned >> class & 1))
        return heap_alloc_owned(heap, class);
    void *block = tp_heap_alloc_charged(heap->thread, heap->slot, class, TP_ACCOUNT_NONE);
    if (block != NULL)
        heap_note_mixed(heap, class);
    return block;
}

void *tp_heap_alloc(struct tp_thread *thread, uint32_t slot, unsigned class)
{
    struct tp_heap *heap = thread->slots[slot].heap;
    if (TP_UNLIKELY(heap == NULL))
        heap = heap_once_warm(thread, slot);
    if (heap != NULL && TP_UNLIKELY(heap->armed != tp_limit_is_near(slot)))
        heap_arm(heap, !heap->armed);
    return heap != NULL ? tp_heap_alloc_warm(heap, class) : tp_heap_alloc_charged(thread, slot, class, TP_ACCOUNT_NONE);
}

/* Another call will want a page of this class soon, unless keeping it costs much. */
static bool heap_is_kept(const struct tp_heap *heap, const struct tp_page *page)
{
    bool only = heap->page[page->class] == page && page->next == NULL;
    return only && page->region == 1 && heap_carved_bytes(page) <= HEAP_KEEP_BYTES && heap->thread != tp_thread_orphans;
}

void tp_heap_woken(struct tp_page *page)
{
    if (TP_UNLIKELY(page->used > page->capacity))
        tp_stop(TP_CALLER_FREED_TWICE, 0, tp_tags[page->slot].tag, (uintptr_t)page->free, page->free,
                tp_tags[page->slot].tag);
    if (tp_page_is_full(page))
        heap_open_page(page->heap, page);
    if (page->used > 0)
        return;
    heap_charge(page);
    if (!heap_is_kept(page->heap, page))
        heap_retire_page(page);
}

/* Only the one page of a class is kept empty. */
static void heap_retire_kept(struct tp_heap *heap)
{
    for (unsigned class = 0; class < TP_CLASS_LIMIT; class ++)
        if (heap->page[class] != &tp_page_none && heap->page[class]->used == 0)
            heap_retire_page(heap->page[class]);
}

void tp_heap_trim(struct tp_thread *thread)
{
    tp_mail_collect(thread);
    for (struct tp_heap *heap = thread->heaps; heap != NULL; heap = heap->next)
        heap_retire_kept(heap);
}

static void heap_side_note_list(struct tp_page *page, const struct tp_block *block, uint32_t count)
{
    for (; count > 0; count--, block = block->next)
        heap_side_note_put(page, block);
}

void tp_heap_put(struct tp_page *page, struct tp_block *first, struct tp_block *last, uint32_t count)
{
    if (TP_UNLIKELY(tp_page_is_mixed(page)) && !page->watched)
        heap_side_note_list(page, first, count);
    bool woken = tp_page_push_list(page, first, last, count);
    if (TP_CHECKED && page->used <= page->carved)
        tp_page_check(page);
    if (TP_UNLIKELY(woken))
        tp_heap_woken(page);
}

/* --- the end of a thread -------------------------------------------------------------------------------------- */

/*
 * What a thread found out about its classes is kept for the next ones: many short threads earn together what none of
 * them would alone.
 */
static void heap_bequeath(const struct tp_heap *heap, struct tp_heap *to)
{
    uint64_t owned = to->owned | heap->owned;
    for (unsigned class = 0; class < TP_CLASS_LIMIT; class ++) {
        uint32_t allocs = (uint32_t)to->mixed_allocs[class] + heap->mixed_allocs[class];
        to->mixed_allocs[class] = (uint16_t)tp_min(allocs, HEAP_OWN_ALLOCS);
        if (allocs >= HEAP_OWN_ALLOCS)
            owned |= UINT64_C(1) << class;
    }
    tp_poke(&to->owned, owned);
    tp_poke(&to->proven, to->proven | heap->proven);
}

static void heap_orphan_page(struct tp_page *page, struct tp_heap *to)
{
    heap_move_page(page, to);
    if (page->used == 0)
        heap_retire_page(page);
}

/* False: no memory for the orphans' heap, so the pages keep their owner. */
static bool heap_orphan(struct tp_heap *heap)
{
    struct tp_heap *to = heap_is_mixed(heap)
                             ? heap_mixed(tp_thread_orphans, (enum tp_layout)heap->layout, heap->watched)
                             : heap_of_slot(tp_thread_orphans, heap->slot);
    if (to == NULL)
        return false;
    if (!heap_is_mixed(heap))
        heap_bequeath(heap, to);
    while (heap->full != NULL)
        heap_orphan_page(heap->full, to);
    for (unsigned class = 0; class < TP_CLASS_LIMIT; class ++)
        while (heap->page[class] != &tp_page_none)
            heap_orphan_page(heap->page[class], to);
    return true;
}

bool tp_heap_orphan_all(struct tp_thread *thread)
{
    struct tp_heap *heap = thread->heaps;
    while (heap != NULL) {
        struct tp_heap *next = heap->next;
        if (!heap_orphan(heap))
            return false;
        if (heap_is_mixed(heap))
            thread->mixed[heap->layout + (heap->watched ? TP_LAYOUT_COUNT : 0)] = NULL;
        else
            thread->slots[heap->slot].heap = NULL;
        tp_metadata_free(heap, sizeof(*heap));
        thread->heaps = heap = next;
    }
    return true;
}
