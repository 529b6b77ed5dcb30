#include "budget.h"

/* The first requests of a site. */
#define BUDGET_FIRST 16u

#define BUDGET_SITES 16384u

static uint32_t budget_counts[BUDGET_SITES];

static uint32_t *budget_site(const struct tp_call *call, size_t size)
{
    unsigned log = 64 - (unsigned)__builtin_clzll(size | 1);
    uint64_t key = (call->pc ^ (uint64_t)log << 48) * UINT64_C(0x9e3779b97f4a7c15);
    return &budget_counts[key >> 50];
}

/* A number below `count`, the same in every run. */
static uint32_t budget_coin(const uint32_t *site, uint32_t count)
{
    uint64_t mixed = ((uint64_t)(site - budget_counts) << 32 | count) * UINT64_C(0x9e3779b97f4a7c15);
    return (uint32_t)(((mixed ^ mixed >> 29) & UINT32_MAX) * count >> 32);
}

/* After the first ones, one in as many as there were, shared out over the first ones. */
bool tp_budget_allows(const struct tp_call *call, size_t size)
{
    uint32_t *site = budget_site(call, size);
    uint32_t count = tp_peek(site);
    if (count < UINT32_MAX)
        tp_poke(site, count + 1);
    return count < BUDGET_FIRST || budget_coin(site, count) < BUDGET_FIRST;
}
