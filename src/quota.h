/*
 * Quota accounts: who is charged for a block, and how much may be.
 *
 *   block -> account -> its parent -> ... -> root      each level holds what is charged to it and below it
 *
 * A charged block lies on a mixed page, whose side array names its account, or is large and has it in its descriptor:
 * no header, and no page for each account.  So whoever frees it, and whenever, finds whom to give the charge back to.
 *
 * Q1  held <= limit at every level, at every moment, but for what was held, or was just being charged, when a limit was
 *     lowered.
 * Q2  An account is there while anybody uses it: the handle, a thread that is attached, a child, a charged block.
 * Q3  The charge of a block is its block bytes, from before it is given out until after its free was counted.
 *
 * One compare-and-swap a level charges; what is refused above is given back below.  Lock: TP_LOCK_TAGS for the table.
 */
#ifndef TP_QUOTA_H
#define TP_QUOTA_H

#include "thread.h"

#include <tagpool/quota.h>

/* An account under another one or NULL; NULL when there is no memory or no number for it.  Used by its handle. */
struct tp_quota *tp_quota_create(struct tp_quota *parent, const char *name, const uint64_t *limits);

/* One user less: the handle.  The last one ends it. */
void tp_quota_destroy(struct tp_quota *quota);

/* Charge this thread's requests to an account, or to none. */
void tp_quota_attach(struct tp_thread *thread, struct tp_quota *quota);

void tp_quota_set_limit(struct tp_quota *quota, unsigned region, uint64_t limit);
void tp_quota_read(const struct tp_quota *quota, unsigned region, tagpool_quota_stats_t *stats);

/* A number for side arrays; TP_ACCOUNT_NONE for NULL. */
uint32_t tp_quota_index(const struct tp_quota *quota);

/* A block of so many bytes is charged to an account, by its number; false: to none, a limit forbids it. */
bool tp_quota_charge(uint32_t index, unsigned region, size_t bytes);

/* It was freed. */
void tp_quota_uncharge(uint32_t index, unsigned region, size_t bytes);

/* It grew, or became smaller, or was replaced by another one. */
bool tp_quota_charge_more(uint32_t index, unsigned region, size_t bytes);
void tp_quota_charge_less(uint32_t index, unsigned region, size_t bytes);

/* In a forked child: a charged block that is live there; and the end of this, when all of them were told. */
void tp_quota_inherit(uint32_t index, unsigned region, size_t bytes);
void tp_quota_settle(void);

#endif
