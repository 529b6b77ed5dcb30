#include "block.h"
#include "free.h"
#include "harden.h"
#include "large.h"
#include "quota.h"
#include "side.h"
#include "special.h"
#include "track.h"
#include "watch.h"

#include <string.h>

/* --- look up -------------------------------------------------------------------------------------------------- */

static void block_info_large(struct tp_block_info *info)
{
    info->size = info->page->large_asked;
    info->account = info->page->account;
}

static void block_info_side(struct tp_block_info *info, struct tp_side side)
{
    info->slot = side.slot;
    info->account = side.account;
    if (TP_UNLIKELY(info->page->watched))
        info->size = info->page->watch[info->index].size;
}

/* What is known of a block by its place alone. */
static struct tp_block_info block_info(struct tp_page *page, uint32_t index)
{
    struct tp_block_info info = {page, page->block_size, page->slot, index, TP_ACCOUNT_NONE};
    if (page->state == TP_UNIT_LARGE)
        block_info_large(&info);
    else if (tp_page_is_mixed(page))
        block_info_side(&info, tp_side_peek(page, index));
    if (tp_page_is_sealed(page) && page->state != TP_UNIT_LARGE)
        info.size = tp_harden_size(page, tp_page_block(page, index));
    return info;
}

/* Pages that know of each block whether it lives stop for one that does not, as they do when it is freed. */
static struct tp_block_info block_info_live(struct tp_page *page, uint32_t index, const void *block)
{
    struct tp_block_info info = block_info(page, index);
    if (TP_UNLIKELY(info.slot == TAGPOOL_SEGMENT_NO_SLOT))
        tp_side_take(page, index, block);
    if (TP_UNLIKELY(info.size == SIZE_MAX))
        tp_harden_stop_unsealed(page, block);
    return info;
}

/* What special pool knows has no page. */
static struct tp_block_info block_info_special(const struct tp_special *special)
{
    return (struct tp_block_info){NULL, special->size, special->slot, 0, special->account};
}

struct tp_block_info tp_block_look_up(const void *block)
{
    if (TP_UNLIKELY(tp_special_owns(block)))
        return block_info_special(tp_special_look_up(block));
    struct tp_page *page = tp_page_at_or_stop(block);
    if (page->state != TP_UNIT_LARGE)
        return block_info_live(page, tp_page_index(page, block), block);
    if (block != page->start)
        tp_large_stop_middle(page, block);
    return block_info(page, 0);
}

bool tp_block_find(const void *block, struct tp_block_info *info)
{
    const struct tp_special *special = tp_special_at(block);
    struct tp_page *page = block != NULL ? tp_page_at(block) : NULL;
    uint32_t index = 0;
    if (TP_UNLIKELY(special != NULL)) {
        *info = block_info_special(special);
        return special->block == block && tp_special_lives(special);
    }
    if (page == NULL)
        return false;
    if (page->state == TP_UNIT_LARGE ? block != page->start : !tp_page_find(page, block, &index))
        return false;
    *info = block_info(page, index);
    return info->slot != TAGPOOL_SEGMENT_NO_SLOT && info->size != SIZE_MAX;
}

static bool block_resize_sealed(void *block, struct tp_page *page, size_t size)
{
    size_t room = size + TP_SEAL_BYTES;
    if (page->state == TP_UNIT_LARGE) {
        tp_harden_check_large(page);
        if (room <= TP_CLASS_MAX_SIZE || !tp_large_resize(page, room))
            return false;
        tp_harden_resize_large(page, size);
        return true;
    }
    if (room > page->block_size || (room < page->block_size / 2 && page->block_size > 64))
        return false;
    tp_harden_resize(page, block, size);
    return true;
}

/* Checked blocks stay where they are only where nothing of them changes: so that what was left behind is noticed. */
static bool block_resize(void *block, const struct tp_block_info *info, size_t size)
{
    if (TP_UNLIKELY(info->page == NULL))
        return size == info->size;
    if (TP_UNLIKELY(info->page->watched))
        return tp_watch_resize(info->page, info->index, block, size);
    if (TP_UNLIKELY(tp_seal_is_on()))
        return size <= TP_LARGE_MAX && block_resize_sealed(block, info->page, size);
    if (info->page->state == TP_UNIT_LARGE)
        return size > TP_CLASS_MAX_SIZE && tp_large_resize(info->page, size);
    return size <= info->size && (size >= info->size / 2 || info->size <= 64);
}

bool tp_block_resize(void *block, const struct tp_block_info *info, size_t size)
{
    bool is_resized = block_resize(block, info, size);
    if (is_resized && info->page != NULL)
        tp_track_resize(info->page, info->index, size);
    return is_resized;
}

/* --- move ----------------------------------------------------------------------------------------------------- */

size_t tp_block_bytes(const struct tp_block_info *info)
{
    if (info->page == NULL || info->page->watched)
        return tp_checked_bytes(info->size);
    return info->page->state == TP_UNIT_LARGE ? info->page->large_size : info->page->block_size;
}

/* Nobody is charged for the block any more: its account pays for another one. */
static void block_forget_account(const void *block, const struct tp_block_info *info)
{
    if (info->page == NULL)
        tp_special_forget_account(block);
    else if (info->page->state == TP_UNIT_LARGE)
        info->page->account = TP_ACCOUNT_NONE;
    else
        tp_side_forget_account(info->page, info->index);
}

void *tp_block_move(struct tp_thread *thread, void *old, const struct tp_block_info *info,
                    const struct tp_alloc_request *request)
{
    struct tp_alloc_request charged = *request;
    charged.account = info->account;
    bool is_replaced = info->account != TP_ACCOUNT_NONE && tp_tags[info->slot].region == tp_tags[request->slot].region;
    void *block =
        is_replaced ? tp_alloc_replacing(thread, &charged, tp_block_bytes(info)) : tp_alloc_requested(thread, &charged);
    if (block == NULL)
        return NULL;
    if (is_replaced)
        block_forget_account(old, info);
    memcpy(block, old, tp_min(request->size, info->size));
    tp_free_called(old, request->face, TP_SIZE_UNTOLD, request->call);
    return block;
}
