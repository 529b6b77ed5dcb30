#include "page.h"

struct tp_page tp_page_none;

struct tp_page *tp_page_at_or_stop(const void *p)
{
    struct tp_page *page = tp_page_at(p);
    if (TP_LIKELY(page != NULL))
        return page;
    bool in_pool = tp_unit_of(p) < tp_space.unit_count;
    tp_stop(in_pool ? TP_CALLER_INVALID : TP_CALLER_NO_POOL, (uintptr_t)p, 0, 0, p, 0);
}

char *tp_page_block_split(const struct tp_page *page, uint32_t index)
{
    uint32_t each = (uint32_t)(TP_OS_PAGE / page->block_size);
    return page->start + index / each * TP_OS_PAGE + (size_t)(index % each) * page->block_size;
}

uint32_t tp_page_index_split(const struct tp_page *page, size_t offset)
{
    uint32_t each = (uint32_t)(TP_OS_PAGE / page->block_size);
    return (uint32_t)(offset / TP_OS_PAGE) * each + tp_page_divide(page, offset % TP_OS_PAGE);
}

uint32_t tp_page_index(const struct tp_page *page, const void *p)
{
    uint32_t index;
    if (TP_LIKELY(tp_page_find(page, p, &index)))
        return index;
    if (index >= page->capacity)
        tp_stop(TP_CALLER_INVALID, (uintptr_t)p, 0, 0, p, 0);
    const char *block = tp_page_block(page, index);
    tp_stop(TP_CALLER_MIDDLE, (uintptr_t)p, (uintptr_t)block, (uintptr_t)((const char *)p - block), p, 0);
}

void tp_page_check_carved(const struct tp_page *page, uint32_t index, const void *p)
{
    if (TP_UNLIKELY(index >= page->carved))
        tp_stop(TP_CALLER_INVALID, (uintptr_t)p, 0, 0, p, 0);
}

uint32_t tp_page_extension(const struct tp_page *page)
{
    return (uint32_t)tp_min(tp_max(TP_OS_PAGE / page->block_size, 1), page->capacity - page->carved);
}

/* --- hardened blocks ------------------------------------------------------------------------------------------ */

void tp_page_seal_list(struct tp_page *page, struct tp_block *first, uint32_t count)
{
    for (; count > 0; count--) {
        struct tp_block *next = first->next;
        tp_page_seal(page, first);
        first = next;
    }
}

/* What earlier owners left where blocks from `from` on are carved (V2). */
static void page_clear(const struct tp_page *page, char *from, const char *to)
{
    while (from < to) {
        size_t offset = (size_t)(from - page->start), unit = offset >> TP_UNIT_SHIFT;
        size_t touched = (size_t)page[unit].touched_pages << TP_OS_PAGE_SHIFT, here = offset % TP_UNIT;
        size_t bytes = tp_min((size_t)(to - from), TP_UNIT - here);
        if (here < touched)
            memset(from, 0, tp_min(bytes, touched - here));
        from += bytes;
    }
}

/*
 * In address order, but that a page begins at a place that cannot be guessed and goes all around from there: neighbours
 * in time are neighbours in memory.  (With every OS page begun so, or one block in eight taken out of its turn, python3
 * took a sixth to a half longer: processors fetch ahead where addresses go up.)
 */
static void page_extend_sealed(struct tp_page *page, uint32_t count)
{
    char *from = tp_page_block(page, page->carved);
    uint64_t secret = tp_seal_link_key(from) * UINT64_C(0x9e3779b97f4a7c15) >> 32;
    uint32_t first = page->carved == 0 ? (uint32_t)(secret % count) : 0;
    page_clear(page, from, tp_page_block(page, page->carved + count - 1) + page->block_size);
    for (uint32_t i = count; i-- > 0;)
        tp_page_seal(page, tp_page_block(page, page->carved + (first + i) % count));
    page->carved += count;
}

/* --- lists ---------------------------------------------------------------------------------------------------- */

bool tp_page_extend(struct tp_page *page)
{
    uint32_t count = tp_page_extension(page);
    if (count == 0)
        return false;
    if (tp_page_is_sealed(page)) {
        page_extend_sealed(page, count);
        return true;
    }
    /* In address order: neighbours in time are neighbours in memory. */
    struct tp_block *first = page->free;
    for (uint32_t index = page->carved + count; index-- > page->carved;) {
        struct tp_block *block = (struct tp_block *)tp_page_block(page, index);
        block->next = first;
        first = block;
    }
    page->free = first;
    page->carved += count;
    return true;
}

void tp_page_set_owner(struct tp_page *page, uint64_t owner)
{
    uint64_t *words = &tp_space.owners[tp_page_unit(page)];
    for (uint32_t i = 0; i < page->units; i++)
        tp_poke(&words[i], owner == TP_OWNER_NONE ? owner : owner | i);
}

static const struct tp_block *page_first(const struct tp_page *page)
{
    return tp_page_is_sealed(page) ? page->sealed : page->free;
}

/* False: somebody wrote to the block, and is told when it is given out. */
static bool page_next(const struct tp_page *page, const struct tp_block **block)
{
    void *next = (*block)->next;
    bool is_whole = !tp_page_is_sealed(page) || tp_seal_next((const char *)*block, &next);
    *block = next;
    return is_whole;
}

void tp_page_check(const struct tp_page *page)
{
    uint32_t count = 0;
    for (const struct tp_block *block = page_first(page); block != NULL;) {
        TP_ASSERT(tp_page_index_near(page, block) < page->carved, "P2");
        TP_ASSERT(tp_page_block(page, tp_page_index_near(page, block)) == (const char *)block, "P2");
        TP_ASSERT(count < page->capacity, "P2");
        count++;
        if (!page_next(page, &block))
            return;
    }
    TP_ASSERT(count + page->used == page->carved, "P1");
}
