/*
 * Memory conditions: memory is low, or there is plenty, as something to wait for.
 *
 * A pool is low when less than an eighth of its limit is left, and high while more than three eighths are.  Its limit
 * is the one of tagpool_limit_pool, for the nonpaged pool RLIMIT_MEMLOCK as well; without a limit a pool is always
 * high. Memory as a whole is low when either pool is, or the control group that the process runs in (memory.max), and
 * high when all of them are.
 *
 * The first call that asks for a descriptor starts a thread that looks ten times a second.  All functions are
 * thread-safe and none is async-signal-safe.  Names follow the event objects LowMemoryCondition and kin of the WDK; the
 * shares are ours.
 */
#ifndef TAGPOOL_CONDITION_H
#define TAGPOOL_CONDITION_H

#include <tagpool/tagpool.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum tagpool_condition {
    TAGPOOL_LOW_MEMORY,
    TAGPOOL_HIGH_MEMORY,
    TAGPOOL_LOW_PAGED,
    TAGPOOL_HIGH_PAGED,
    TAGPOOL_LOW_NONPAGED,
    TAGPOOL_HIGH_NONPAGED
} tagpool_condition_t;

/*
 * An eventfd that poll and epoll report as readable while the condition holds.  It is the library's and the same for
 * all callers: neither read it nor close it.  A child made by fork asks for its own.
 *
 * Returns -1 with errno EINVAL (no such condition), EMFILE or ENFILE (descriptors), EAGAIN (no thread)
 * or ENOMEM.
 */
TAGPOOL_API int tagpool_condition_fd(tagpool_condition_t condition);

/* Look now: 1 when it holds, 0 when not; -1 with errno EINVAL. */
TAGPOOL_API int tagpool_condition_is_set(tagpool_condition_t condition);

/*
 * Wait until the condition holds, timeout_ms milliseconds at most, without end when negative.  1: it does; 0: time is
 * up; -1 with errno as tagpool_condition_fd, or EINTR.
 */
TAGPOOL_API int tagpool_condition_wait(tagpool_condition_t condition, int timeout_ms);

#ifdef __cplusplus
}
#endif

#endif
