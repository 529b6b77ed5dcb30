/*
 * Memory conditions (include/tagpool/condition.h).
 *
 *   pools' meters, RLIMIT_MEMLOCK, control group  ->  levels  ->  eventfds
 *
 * A pool is summed up only where its bound does not tell.  One thread looks, for whoever polls a descriptor: nothing
 * else would, in a program that neither allocates nor frees while its control group fills up.
 *
 * O1  A descriptor is readable as of the last look: a 1 is written when the condition comes, and read when it goes.
 * O2  What a process has of this lies in an OS page that the kernel hands to a forked child as zeros: a lock that
 *     nobody holds, no thread, no descriptors.
 *
 * Lock: `lock` in that page, over descriptors and looks; the engine's locks are taken within it.
 */
#include <tagpool/condition.h>

#include "account.h"
#include "cgroup.h"
#include "fork.h"
#include "limit.h"
#include "os.h"
#include "start.h"
#include "thread.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define CONDITION_COUNT (TAGPOOL_HIGH_NONPAGED + 1)

/* Time between two looks. */
#define CONDITION_MS 100

/* Shares of a limit that are left, in eighths (unsourced; as for Windows, high is three times low). */
#define CONDITION_LOW 1
#define CONDITION_HIGH 3

/* Room in a pool or group, as far as it matters. */
enum level { LEVEL_LOW, LEVEL_MIDDLE, LEVEL_HIGH };

/* O2 */
struct condition_own {
    pthread_mutex_t lock;
    bool is_watched;
    bool shown[CONDITION_COUNT]; /* O1 */
    int fds[CONDITION_COUNT];    /* one more than the descriptor; 0: none */
};
static struct condition_own *condition_own;

/* --- levels --------------------------------------------------------------------------------------------------- */

static enum level level_of(uint64_t limit, uint64_t used)
{
    uint64_t eighth = limit / 8;
    if (used > limit - CONDITION_LOW * eighth)
        return LEVEL_LOW;
    return used >= limit - CONDITION_HIGH * eighth ? LEVEL_MIDDLE : LEVEL_HIGH;
}

static enum level level_of_pool(unsigned region)
{
    uint64_t limit = tp_limit_hard(&tp_limit_pools[region]);
    if (limit == 0)
        return LEVEL_HIGH;
    /* What callers hold is not more than the bound. */
    if (level_of(limit, tp_peek(&tp_limit_pools[region].bound)) == LEVEL_HIGH)
        return LEVEL_HIGH;
    return level_of(limit, tp_account_live_in_pool(region));
}

static enum level level_of_locked(void)
{
    size_t limit = tp_os_limit_locked();
    return limit != SIZE_MAX ? level_of(limit, tp_peek(&tp_segment->locked_bytes)) : LEVEL_HIGH;
}

static enum level level_of_group(void)
{
    struct tp_cgroup_memory memory = tp_cgroup_read(&tp_cgroup_system);
    return memory.limit != UINT64_MAX ? level_of(memory.limit, memory.used) : LEVEL_HIGH;
}

static enum level level_least(enum level a, enum level b)
{
    return a < b ? a : b;
}

static enum level level_of_kind(tagpool_condition_t condition)
{
    switch (condition) {
    case TAGPOOL_LOW_PAGED:
    case TAGPOOL_HIGH_PAGED:
        return level_of_pool(TAGPOOL_PAGED);
    case TAGPOOL_LOW_NONPAGED:
    case TAGPOOL_HIGH_NONPAGED:
        return level_least(level_of_pool(TAGPOOL_NONPAGED), level_of_locked());
    default:
        return level_least(level_least(level_of_kind(TAGPOOL_LOW_PAGED), level_of_kind(TAGPOOL_LOW_NONPAGED)),
                           level_of_group());
    }
}

/* Low ones have even numbers. */
static bool condition_holds(tagpool_condition_t condition)
{
    return level_of_kind(condition) == (condition % 2 == 0 ? LEVEL_LOW : LEVEL_HIGH);
}

/* --- what this process has ------------------------------------------------------------------------------------ */

static void condition_make_own(void)
{
    struct condition_own *own = tp_os_reserve(TP_OS_PAGE);
    if (own != NULL && tp_os_commit(own, TP_OS_PAGE) == 0 && tp_os_wipe_on_fork(own, TP_OS_PAGE) == 0)
        condition_own = own;
    else if (own != NULL)
        tp_os_release(own, TP_OS_PAGE);
}

/* Locked; NULL: there is no memory. */
static struct condition_own *condition_lock(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, condition_make_own);
    if (condition_own != NULL)
        pthread_mutex_lock(&condition_own->lock);
    return condition_own;
}

/* --- descriptors ---------------------------------------------------------------------------------------------- */

static void condition_show(struct condition_own *own, tagpool_condition_t condition, bool holds)
{
    uint64_t one = 1;
    int fd = own->fds[condition] - 1;
    if (fd < 0 || own->shown[condition] == holds)
        return;
    ssize_t moved = holds ? write(fd, &one, sizeof(one)) : read(fd, &one, sizeof(one));
    if (moved == sizeof(one))
        own->shown[condition] = holds;
}

static void condition_look_all(void)
{
    struct condition_own *own = condition_lock();
    for (int i = 0; i < CONDITION_COUNT; i++)
        if (own->fds[i] != 0)
            condition_show(own, (tagpool_condition_t)i, condition_holds((tagpool_condition_t)i));
    pthread_mutex_unlock(&own->lock);
}

static void *condition_watch(void *unused)
{
    (void)unused;
    for (;;) {
        tp_os_sleep_ms(CONDITION_MS);
        condition_look_all();
    }
    return NULL;
}

/* Signals of the program's are for its own threads. */
static int condition_start_thread(void)
{
    pthread_t thread;
    sigset_t all, before;
    tp_fork_before_thread();
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&thread, NULL, condition_watch, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error == 0)
        pthread_detach(thread);
    return error;
}

/* 0, or an error number. */
static int condition_open(struct condition_own *own, tagpool_condition_t condition)
{
    int error = own->is_watched ? 0 : condition_start_thread();
    own->is_watched = error == 0;
    if (error != 0 || own->fds[condition] != 0)
        return error;
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fd < 0)
        return errno;
    own->fds[condition] = fd + 1;
    condition_show(own, condition, condition_holds(condition));
    return 0;
}

/* --- the interface -------------------------------------------------------------------------------------------- */

static bool condition_is_known(tagpool_condition_t condition)
{
    if ((unsigned)condition < CONDITION_COUNT)
        return true;
    errno = EINVAL;
    return false;
}

int tagpool_condition_fd(tagpool_condition_t condition)
{
    if (!condition_is_known(condition))
        return -1;
    tp_start_may_publish();
    tp_thread_self();
    struct condition_own *own = condition_lock();
    int error = own != NULL ? condition_open(own, condition) : ENOMEM;
    int fd = error == 0 ? own->fds[condition] - 1 : -1;
    if (own != NULL)
        pthread_mutex_unlock(&own->lock);
    if (error != 0)
        errno = error;
    return fd;
}

int tagpool_condition_is_set(tagpool_condition_t condition)
{
    if (!condition_is_known(condition))
        return -1;
    tp_start_may_publish();
    tp_thread_self();
    struct condition_own *own = condition_lock();
    bool holds = condition_holds(condition);
    if (own != NULL) {
        condition_show(own, condition, holds);
        pthread_mutex_unlock(&own->lock);
    }
    return holds;
}

/* A descriptor says what was so at the last look, so another look decides. */
int tagpool_condition_wait(tagpool_condition_t condition, int timeout_ms)
{
    struct pollfd waited = {.fd = tagpool_condition_fd(condition), .events = POLLIN};
    uint64_t started = tp_os_now_ms();
    int left = timeout_ms;
    if (waited.fd < 0)
        return -1;
    for (;;) {
        int ready = poll(&waited, 1, left);
        if (ready < 0 || tagpool_condition_is_set(condition))
            return ready < 0 ? -1 : 1;
        int64_t passed = (int64_t)(tp_os_now_ms() - started);
        if (timeout_ms >= 0 && passed >= timeout_ms)
            return 0;
        left = timeout_ms >= 0 ? timeout_ms - (int)passed : -1;
    }
}
