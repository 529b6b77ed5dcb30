#include "range.h"
#include "fatal.h"
#include "side.h"
#include "special.h"
#include "watch.h"

/* A checked block as far as a range is concerned. */
struct range_block {
    const char *start;
    size_t size;
    bool lives;
    uint32_t slot;
};

static bool range_find_special(struct range_block *block, const void *p)
{
    const struct tp_special *special = tp_special_blame(p);
    if (special == NULL || tp_peek(&special->state) == TP_SPECIAL_FREE)
        return false;
    *block = (struct range_block){special->block, special->size, tp_special_lives(special), special->slot};
    return true;
}

static bool range_find_watched(struct range_block *block, const void *p)
{
    const struct tp_page *page = tp_page_at(p);
    if (page == NULL || !page->watched || page->state != TP_UNIT_BLOCKS)
        return false;
    uint32_t index = tp_page_index_near(page, p);
    if (index >= page->carved)
        return false;
    const struct tp_watch *watch = &page->watch[index];
    *block = (struct range_block){tp_page_block(page, index), tp_peek(&watch->size),
                                  tp_watch_life(watch) == TP_WATCH_LIVES, tp_side_last_slot(page, index)};
    return true;
}

static bool range_find(struct range_block *block, const void *p)
{
    if (tp_special_owns(p))
        return range_find_special(block, p);
    return range_find_watched(block, p);
}

/* The first byte of the range that is not the block's; NULL: all are. */
static const char *range_outside(const struct range_block *block, const char *p, size_t size)
{
    if (!block->lives || p < block->start || p >= block->start + block->size)
        return p;
    return size > (size_t)(block->start + block->size - p) ? block->start + block->size : NULL;
}

static void range_stop(const struct range_block *block, const char *outside, size_t size,
                       enum tagpool_report_access access)
{
    tp_stop_touch(block->lives ? TP_BEYOND_END_TOUCHED : TP_FREED_POOL_TOUCHED, outside, access == TAGPOOL_REPORT_WRITE,
                  size, tp_tags[block->slot].tag);
}

void tp_range_check(const void *p, size_t size, enum tagpool_report_access access)
{
    struct range_block block;
    if (size == 0 || !range_find(&block, p))
        return;
    const char *outside = range_outside(&block, p, size);
    if (TP_UNLIKELY(outside != NULL))
        range_stop(&block, outside, size, access);
}

void tp_range_check_call(const void *p, size_t size, enum tagpool_report_access access)
{
    struct range_block block;
    if (size == 0 || !range_find(&block, p))
        return;
    const char *outside = range_outside(&block, p, size);
    if (TP_LIKELY(outside == NULL))
        return;
    if (block.lives && outside != p)
        tp_stop(TP_BUFFER_TOO_LONG, (uintptr_t)outside, size, 0, outside, tp_tags[block.slot].tag);
    range_stop(&block, outside, size, access);
}
