/*
 * Budget: which requests of a calling site go to special pool, where not all can.
 *
 * Bugs sit at sites: the first requests of each site go there always, and then ever fewer.  Sites are told apart by
 * return address and size class, in a table of constant size; two that fall together share their turn.
 */
#ifndef TP_BUDGET_H
#define TP_BUDGET_H

#include "site.h"

/* Count a request, and say whether its turn has come. */
bool tp_budget_allows(const struct tp_call *call, size_t size);

#endif
