#include "side.h"
#include "metadata.h"
#include "tag.h"

bool tp_side_make(struct tp_page *page)
{
    page->side = tp_metadata_alloc(page->capacity * sizeof(page->side[0]));
    if (page->side != NULL && page->watched)
        page->watch = tp_metadata_alloc(page->capacity * sizeof(page->watch[0]));
    if (page->side != NULL && (!page->watched || page->watch != NULL))
        return true;
    tp_side_free(page);
    return false;
}

void tp_side_free(struct tp_page *page)
{
    size_t size = page->capacity * sizeof(page->side[0]);
    if (page->side != NULL)
        tp_metadata_free(page->side, size);
    if (page->accounts != NULL)
        tp_metadata_free(page->accounts, page->watched ? page->capacity * sizeof(page->watch[0]) : size);
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
    if (page->watched)
        tp_poke(&page->watch[index].account, (uint16_t)account);
    else if (page->accounts != NULL)
        tp_poke(&page->accounts[index], (uint16_t)account);
    tp_poke(&page->side[index], (uint16_t)slot);
    return true;
}

uint16_t tp_side_account(const struct tp_page *page, uint32_t index)
{
    if (TP_UNLIKELY(page->watched))
        return tp_peek(&page->watch[index].account);
    const uint16_t *accounts = __atomic_load_n(&page->accounts, __ATOMIC_ACQUIRE);
    return accounts != NULL ? tp_peek(&accounts[index]) : TP_ACCOUNT_NONE;
}

void tp_side_forget_account(struct tp_page *page, uint32_t index)
{
    uint16_t *account = page->watched ? &page->watch[index].account : &page->accounts[index];
    tp_poke(account, (uint16_t)TP_ACCOUNT_NONE);
}

struct tp_side tp_side_peek(const struct tp_page *page, uint32_t index)
{
    uint16_t slot = tp_peek(&page->side[index]);
    if ((slot & TP_SIDE_FREED) != 0)
        slot = TAGPOOL_SEGMENT_NO_SLOT;
    return (struct tp_side){slot, slot != TAGPOOL_SEGMENT_NO_SLOT ? tp_side_account(page, index) : TP_ACCOUNT_NONE};
}

struct tp_side tp_side_take(struct tp_page *page, uint32_t index, const void *p)
{
    uint16_t slot = tp_peek(&page->side[index]);
    uint32_t tag = tp_tags[slot & ~TP_SIDE_FREED].tag;
    if (TP_UNLIKELY(slot == TAGPOOL_SEGMENT_NO_SLOT))
        tp_stop(TP_CALLER_INVALID, (uintptr_t)p, 0, 0, p, 0);
    if (TP_UNLIKELY((slot & TP_SIDE_FREED) != 0))
        tp_stop(TP_CALLER_FREED_TWICE, 0, tag, (uintptr_t)p, p, tag);
    struct tp_side side = {slot, tp_side_account(page, index)};
    tp_poke(&page->side[index], (uint16_t)(slot | TP_SIDE_FREED));
    return side;
}
