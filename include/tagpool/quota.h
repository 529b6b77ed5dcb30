/*
 * Quota accounts: named, hierarchical, with a limit for each kind of pool.
 *
 * A thread attaches to an account.  What it then allocates with TAGPOOL_CHARGE is charged to that account and to all
 * above it, with the whole block; a request that would pass a limit of any of them gets NULL with errno EDQUOT.  The
 * charge goes back to the same account whoever frees the block, and whenever.
 *
 * tagpool_realloc keeps a block's account, whatever the calling thread is attached to.  Where the block moves, the
 * charge goes with it, and only the difference is charged or given back.
 *
 * All functions are thread-safe and none is async-signal-safe.  In a child made by fork accounts go on, charged with
 * what is live there; the thread that forked stays attached.  Behaviour: the quota of ExAllocatePoolWithQuotaTag and
 * POOL_FLAG_USE_QUOTA, with two differences: blocks of any size are charged, and accounts are not processes.
 */
#ifndef TAGPOOL_QUOTA_H
#define TAGPOOL_QUOTA_H

#include <tagpool/tagpool.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tp_quota tagpool_quota_t;

/* Bytes that may be charged, by kind; 0: no limit. */
typedef struct tagpool_quota_limits {
    uint64_t nonpaged;
    uint64_t paged;
} tagpool_quota_limits_t;

typedef struct tagpool_quota_stats {
    uint64_t held;    /* bytes charged now, here and below */
    uint64_t peak;    /* the highest that was held */
    uint64_t limit;   /* 0: none */
    uint64_t refused; /* requests that this account's limit refused, of both kinds */
} tagpool_quota_stats_t;

/*
 * Make an account.  `name` is a label for people, 1 to 63 bytes, copied; parent may be NULL, limits too.
 *
 * Returns NULL with errno EINVAL (the name), or ENOMEM (no memory, or 4,095 accounts are there).
 */
TAGPOOL_API tagpool_quota_t *tagpool_quota_create(tagpool_quota_t *parent, const char *name,
                                                  const tagpool_quota_limits_t *limits);

/*
 * Give an account up: the pointer is no longer valid.  The account lives on while blocks are charged to it, threads are
 * attached to it, or accounts below it live.  NULL does nothing.
 */
TAGPOOL_API void tagpool_quota_destroy(tagpool_quota_t *quota);

/*
 * Charge what the calling thread allocates with TAGPOOL_CHARGE to this account from now on; NULL: to none, as at the
 * start of each thread.  Returns 0, or -1 with errno ENOMEM when the engine has no record for the thread.
 */
TAGPOOL_API int tagpool_quota_attach(tagpool_quota_t *quota);

/*
 * Set the limit of a kind; 0: none.  One below what is held refuses nothing that is there.  0, or -1 with errno
 * EINVAL.
 */
TAGPOOL_API int tagpool_quota_limit(tagpool_quota_t *quota, tagpool_kind_t kind, uint64_t limit);

/* How an account stands.  0, or -1 with errno EINVAL for an unknown kind. */
TAGPOOL_API int tagpool_quota_stats(const tagpool_quota_t *quota, tagpool_kind_t kind, tagpool_quota_stats_t *stats);

#ifdef __cplusplus
}
#endif

#endif
