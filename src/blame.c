#include "blame.h"
#include "harden.h"
#include "side.h"
#include "track.h"

static void blame_special(struct tp_blame *blame, const struct tp_special *special)
{
    bool lives = tp_special_lives(special);
    *blame = (struct tp_blame){
        .block = special->block,
        .size = special->size,
        .slot = special->slot,
        .keeper = TAGPOOL_REPORT_SPECIAL,
        .state = lives ? TAGPOOL_REPORT_LIVE : TAGPOOL_REPORT_FREED,
        .face = special->face,
        .alloc_stack = special->alloc_stack,
        .free_stack = special->free_stack,
        .alloc_thread = special->alloc_thread,
        .free_thread = special->free_thread,
        .special = special,
    };
    if (lives && special->size != 0) {
        blame->readable_from = (uintptr_t)special->block & ~(TP_OS_PAGE - 1);
        blame->readable_to = tp_round_up((uintptr_t)special->block + special->size, TP_OS_PAGE);
    }
}

static void blame_watched(struct tp_blame *blame, const struct tp_page *page, uint32_t index)
{
    const struct tp_watch *watch = &page->watch[index];
    const struct tp_watch_who *who = tp_page_who(page, index);
    blame->keeper = TAGPOOL_REPORT_WATCHED;
    blame->size = watch->size;
    blame->face = watch->face;
    blame->alloc_stack = who->alloc_stack;
    blame->free_stack = who->free_stack;
    blame->alloc_thread = who->alloc_thread;
    blame->free_thread = who->free_thread;
}

static void blame_mixed(struct tp_blame *blame, const struct tp_page *page, uint32_t index)
{
    blame->slot = tp_side_last_slot(page, index);
    if (tp_side_peek(page, index).slot == TAGPOOL_SEGMENT_NO_SLOT)
        blame->state = TAGPOOL_REPORT_FREED;
    if (page->watched)
        blame_watched(blame, page, index);
}

static void blame_hardened(struct tp_blame *blame, const struct tp_page *page, uint32_t index)
{
    struct tp_seal seal;
    if (tp_seal_read(blame->block, page->block_size, &seal)) {
        blame->size = page->block_size - seal.slop;
        blame->face = (uint8_t)seal.face;
    } else if (tp_harden_is_freed(page, index, blame->block)) {
        blame->state = TAGPOOL_REPORT_FREED;
    }
}

static void blame_tracked(struct tp_blame *blame, const struct tp_page *page, uint32_t index)
{
    tp_track_find(page, index, blame->slot, &blame->alloc_stack, &blame->size);
}

static bool blame_page_block(struct tp_blame *blame, const struct tp_page *page, const void *address)
{
    uint32_t index = tp_page_index_near(page, address);
    if (index >= page->carved)
        return false;
    blame->block = tp_page_block(page, index);
    blame->size = page->block_size;
    if (tp_page_is_mixed(page))
        blame_mixed(blame, page, index);
    if (tp_page_is_sealed(page))
        blame_hardened(blame, page, index);
    if (!page->watched)
        blame_tracked(blame, page, index);
    return true;
}

/* Whether an ordinary block of an owned page lives is not known there. */
static bool blame_in_pool(struct tp_blame *blame, const void *address)
{
    const struct tp_page *page = tp_page_at(address);
    if (page == NULL)
        return false;
    *blame = (struct tp_blame){
        .block = page->start,
        .size = page->large_asked,
        .slot = page->slot,
        .keeper = TAGPOOL_REPORT_ORDINARY,
        .state = TAGPOOL_REPORT_LIVE,
        .readable_from = (uintptr_t)page->start,
        .readable_to = (uintptr_t)page->start + ((size_t)page->units << TP_UNIT_SHIFT),
    };
    if (page->state != TP_UNIT_LARGE)
        return blame_page_block(blame, page, address);
    blame_tracked(blame, page, 0);
    return true;
}

bool tp_blame_find(struct tp_blame *blame, const void *address)
{
    const struct tp_special *special = tp_special_blame(address);
    if (special != NULL)
        blame_special(blame, special);
    return special != NULL || blame_in_pool(blame, address);
}
