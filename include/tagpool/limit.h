/*
 * Limits: how many bytes may be live under a tag, or in a pool.
 *
 * What counts are block bytes, as tagpool_size tells them, of blocks that callers hold.  Blocks that a lookaside list
 * keeps are held; before anything is refused, lists of the tag (of all tags, for a pool's limit) are flushed, in the
 * thread that asks, and what other threads have of them at hand stays there.  A limit that is far away costs nothing;
 * calls under a tag, or in a pool, that has come near its limit take a lock.  Where the library serves malloc too, the
 * paged pool's limit counts, and refuses, malloc's blocks as well.
 *
 * All functions are thread-safe and none is async-signal-safe.  In a child made by fork limits go on.
 */
#ifndef TAGPOOL_LIMIT_H
#define TAGPOOL_LIMIT_H

#include <tagpool/tagpool.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * 0 is none, everywhere.
 *
 * Beyond `soft` the callback is told, once each time it is crossed upwards, and once where it was set below what is
 * held: in the thread whose block is the next beyond it,
 * before that call returns, without a lock; it may allocate and free.  A block that would make it more than `hard` is
 * refused, NULL with errno ENOMEM; a limit below what is held refuses nothing that is there.
 *
 * The watermarks are for pools alone: beyond `low` requests of priority TAGPOOL_LOW fail, beyond `normal` those of no
 * priority, and what lies between that and `hard` is a reserve for TAGPOOL_HIGH.  low <= normal <= hard.
 */
typedef struct tagpool_limit {
    uint64_t soft;
    uint64_t hard;
    uint64_t low;
    uint64_t normal;
    void (*crossed)(uint64_t bytes, void *context); /* bytes: what is held now */
    void *context;
} tagpool_limit_t;

/* How a limit stands. */
typedef struct tagpool_limit_state {
    uint64_t soft;
    uint64_t hard;
    uint64_t held;    /* block bytes that callers hold now */
    uint64_t refused; /* how often it said no, since it was first set */
} tagpool_limit_state_t;

/*
 * Set the limit of a tag and kind, in place of an earlier one; NULL or zeros take it away.  It holds from each thread's
 * next allocation on.  An allocation that another thread has begun may still come through.
 *
 * Returns 0, or -1 with errno EINVAL (kind, tag, watermarks, soft above hard) or ENOMEM, also where the table of tags
 * is full, so that the tag shares its account with others.
 */
TAGPOOL_API int tagpool_limit_tag(tagpool_kind_t kind, tagpool_tag_t tag, const tagpool_limit_t *limit);

/* The same for all tags of a kind together. */
TAGPOOL_API int tagpool_limit_pool(tagpool_kind_t kind, const tagpool_limit_t *limit);

/* 0, or -1 with errno EINVAL, or ENOENT where no limit was ever set. */
TAGPOOL_API int tagpool_limit_tag_state(tagpool_kind_t kind, tagpool_tag_t tag, tagpool_limit_state_t *state);
TAGPOOL_API int tagpool_limit_pool_state(tagpool_kind_t kind, tagpool_limit_state_t *state);

#ifdef __cplusplus
}
#endif

#endif
