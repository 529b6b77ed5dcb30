#include "side.h"
#include "metadata.h"
#include "tag.h"

static size_t side_bytes(const struct tp_page *page)
{
    return page->capacity * (page->watched ? TP_WATCH_EACH : sizeof(page->side[0]));
}

bool tp_side_make(struct tp_page *page)
{
    page->side = tp_metadata_alloc(side_bytes(page));
    return page->side != NULL;
}

void tp_side_free(struct tp_page *page)
{
    if (page->side != NULL)
        tp_metadata_free(page->side, side_bytes(page));
    if (page->accounts != NULL)
        tp_metadata_free(page->accounts, page->capacity * sizeof(page->accounts[0]));
    page->side = NULL;
    page->accounts = NULL;
}

/* Most pages never hold a charged block. */
static bool side_make_accounts(struct tp_page *page)
{
    uint16_t *accounts = tp_metadata_alloc(page->capacity * sizeof(accounts[0]));
    tp_publish(&page->accounts, accounts);
    return accounts != NULL;
}

bool tp_side_give(struct tp_page *page, uint32_t index, uint32_t slot, uint32_t account)
{
    if (account != TP_ACCOUNT_NONE && page->accounts == NULL && !side_make_accounts(page))
        return false;
    if (page->accounts != NULL)
        tp_poke(&page->accounts[index], (uint16_t)account);
    tp_poke(tp_side_slot(page, index), (uint16_t)slot);
    return true;
}

uint16_t tp_side_account(const struct tp_page *page, uint32_t index)
{
    const uint16_t *accounts = __atomic_load_n(&page->accounts, __ATOMIC_ACQUIRE);
    return accounts != NULL ? tp_peek(&accounts[index]) : TP_ACCOUNT_NONE;
}

void tp_side_forget_account(struct tp_page *page, uint32_t index)
{
    tp_poke(&page->accounts[index], (uint16_t)TP_ACCOUNT_NONE);
}

struct tp_side tp_side_peek(const struct tp_page *page, uint32_t index)
{
    uint16_t slot = tp_peek(tp_side_slot(page, index));
    if ((slot & TP_SIDE_FREED) != 0)
        slot = TAGPOOL_SEGMENT_NO_SLOT;
    return (struct tp_side){slot, slot != TAGPOOL_SEGMENT_NO_SLOT ? tp_side_account(page, index) : TP_ACCOUNT_NONE};
}

struct tp_side tp_side_take(struct tp_page *page, uint32_t index, const void *p)
{
    uint16_t slot = tp_peek(tp_side_slot(page, index));
    uint32_t tag = tp_tags[slot & ~TP_SIDE_FREED].tag;
    if (TP_UNLIKELY(slot == TAGPOOL_SEGMENT_NO_SLOT))
        tp_stop(TP_CALLER_INVALID, (uintptr_t)p, 0, 0, p, 0);
    if (TP_UNLIKELY((slot & TP_SIDE_FREED) != 0))
        tp_stop(TP_CALLER_FREED_TWICE, 0, tag, (uintptr_t)p, p, tag);
    struct tp_side side = {slot, tp_side_account(page, index)};
    tp_poke(tp_side_slot(page, index), (uint16_t)(slot | TP_SIDE_FREED));
    return side;
}
