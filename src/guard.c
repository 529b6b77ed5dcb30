#include "guard.h"
#include "lock.h"
#include "os.h"

#include <errno.h>

/* Reservations that the prepared space may lie in. */
#define GUARD_RANGES 16

/* USERFAULT: so much is copied, with no fault to come; more is zero pages, with no memory behind until written. */
#define GUARD_COPY (16 * TP_OS_PAGE)

/* PROTECT: mappings a process may have, where the system does not say; which part of them we take; what a run takes. */
#define GUARD_MAPPINGS_FILE "/proc/sys/vm/max_map_count"
#define GUARD_MAPPINGS_USUAL 65530
#define GUARD_MAPPINGS_SHARE 4
#define GUARD_MAPPINGS_OF_RUN 2

struct guard_range {
    char *base;
    size_t size; /* 0: it is free, and so are those behind it */
};
static struct guard_range guard_ranges[GUARD_RANGES]; /* W2 */

/* --- what kinds share ----------------------------------------------------------------------------------------- */

static int guard_nothing(void)
{
    return 0;
}

static int guard_purge(void *addr, size_t size)
{
    return tp_os_purge(addr, size, TP_BACKING_PRIVATE);
}

/* Whole ranges, so that they stay one mapping each. */
static void guard_unlock_all(void)
{
    tp_lock(TP_LOCK_GUARDS);
    for (struct guard_range *range = guard_ranges; range < guard_ranges + GUARD_RANGES && range->size != 0; range++)
        tp_os_unlock(range->base, range->size);
    tp_unlock(TP_LOCK_GUARDS);
}

/* A program that locks all it has (mlockall) locks these pages too, and locked pages are not given back. */
static int guard_discard(int (*discard)(void *, size_t), void *addr, size_t size)
{
    int error = discard(addr, size);
    if (error != -EINVAL)
        return error;
    guard_unlock_all();
    return discard(addr, size);
}

/* --- MADVISE -------------------------------------------------------------------------------------------------- */

/* Guards come first: at no time can the space be touched and is not guarded. */
static int guard_madvise_prepare(void *addr, size_t size)
{
    tp_os_no_huge_pages(addr, size);
    int error = tp_os_guard_install(addr, size);
    return error == 0 ? tp_os_commit(addr, size) : error;
}

static int guard_madvise_close(void *addr, size_t size)
{
    return guard_discard(tp_os_guard_install, addr, size);
}

/* --- USERFAULT ------------------------------------------------------------------------------------------------ */

static int guard_fd = -1;
static uint64_t guard_identity; /* of guard_fd as it was opened: the number may mean something else by now */

/* Read only by the system, so it costs no memory.  Not const: it would be a part of the file. */
static char guard_zeros[GUARD_COPY] __attribute__((aligned(TP_OS_PAGE)));

static bool guard_userfault_is_lost(void)
{
    return guard_fd < 0 || tp_os_file_identity(guard_fd) != guard_identity;
}

static void guard_userfault_fini(void)
{
    if (!guard_userfault_is_lost())
        tp_os_close(guard_fd);
    tp_poke(&guard_fd, -1);
}

static int guard_userfault_register_all(int fd)
{
    int error = 0;
    for (struct guard_range *range = guard_ranges; range < guard_ranges + GUARD_RANGES && range->size != 0; range++)
        if (error == 0)
            error = tp_os_userfault_register(fd, range->base, range->size);
    return error;
}

/* To close a descriptor is to undo what was registered with it. */
static int guard_userfault_init(void)
{
    int fd = tp_os_userfault_open();
    if (fd < 0)
        return fd;
    int error = guard_userfault_register_all(fd);
    if (error != 0) {
        tp_os_close(fd);
        return error;
    }
    guard_identity = tp_os_file_identity(fd);
    tp_poke(&guard_fd, fd);
    return 0;
}

static int guard_userfault_renew(void)
{
    return guard_userfault_is_lost() ? guard_userfault_init() : 0;
}

/* Registered first: at no time can the space be touched and reads as zero. */
static int guard_userfault_prepare(void *addr, size_t size)
{
    tp_os_no_huge_pages(addr, size);
    int error = guard_userfault_renew();
    if (error == 0)
        error = tp_os_userfault_register(guard_fd, addr, size);
    return error == 0 ? tp_os_commit(addr, size) : error;
}

static int guard_userfault_fill(void *addr, size_t size)
{
    return tp_os_userfault_fill(tp_peek(&guard_fd), addr, size, size <= GUARD_COPY ? guard_zeros : NULL);
}

/* What can be done before a second try: 0.  There are pages already where somebody touched what was no guard then. */
static int guard_userfault_repair(int error, void *addr, size_t size)
{
    if (error == -ENOMEM)
        return error;
    if (error == -EEXIST)
        return guard_discard(guard_purge, addr, size);
    tp_lock(TP_LOCK_GUARDS);
    error = guard_userfault_renew();
    tp_unlock(TP_LOCK_GUARDS);
    return error;
}

/* Lost, and touched meanwhile, are two repairs. */
static int guard_userfault_open(void *addr, size_t size)
{
    int error = guard_userfault_fill(addr, size);
    for (int repairs = 0; error != 0 && repairs < 2; repairs++) {
        if (guard_userfault_repair(error, addr, size) != 0)
            break;
        error = guard_userfault_fill(addr, size);
    }
    if (error != 0)
        guard_discard(guard_purge, addr, size);
    return error;
}

static int guard_userfault_close(void *addr, size_t size)
{
    return guard_discard(guard_purge, addr, size);
}

/* Until now the descriptor means the parent's memory. */
static int guard_userfault_adopt(void)
{
    guard_userfault_fini();
    return guard_userfault_init();
}

/* --- PROTECT -------------------------------------------------------------------------------------------------- */

static size_t guard_mappings;      /* of open runs, at most */
static size_t guard_mappings_most; /* written at init */

static size_t guard_read_number(const char *path, size_t otherwise)
{
    char text[24];
    size_t number = 0;
    int length = tp_os_read_file(path, text, sizeof(text));
    for (int i = 0; i < length && text[i] >= '0' && text[i] <= '9'; i++)
        number = number * 10 + (size_t)(text[i] - '0');
    return number != 0 ? number : otherwise;
}

static int guard_protect_init(void)
{
    guard_mappings_most = guard_read_number(GUARD_MAPPINGS_FILE, GUARD_MAPPINGS_USUAL) / GUARD_MAPPINGS_SHARE;
    return 0;
}

static int guard_protect_prepare(void *addr, size_t size)
{
    return 0;
}

static int guard_protect_open(void *addr, size_t size)
{
    size_t mappings = __atomic_add_fetch(&guard_mappings, GUARD_MAPPINGS_OF_RUN, __ATOMIC_RELAXED);
    int error = mappings > guard_mappings_most ? -ENOMEM : tp_os_commit(addr, size);
    if (error != 0)
        __atomic_fetch_sub(&guard_mappings, GUARD_MAPPINGS_OF_RUN, __ATOMIC_RELAXED);
    return error;
}

/* Where the system refuses fresh space (mlockall with MCL_FUTURE), a mapping of its own is better than no guard. */
static int guard_protect_close(void *addr, size_t size)
{
    int error = tp_os_reserve_private_at(addr, size);
    if (error != 0)
        error = tp_os_protect(addr, size) == 0 ? guard_discard(guard_purge, addr, size) : error;
    if (error == 0)
        __atomic_fetch_sub(&guard_mappings, GUARD_MAPPINGS_OF_RUN, __ATOMIC_RELAXED);
    return error;
}

/* --- the interface -------------------------------------------------------------------------------------------- */

/* What differs by kind.  prepare is called under the lock. */
struct guard_way {
    int (*init)(void);
    int (*prepare)(void *addr, size_t size);
    int (*open)(void *addr, size_t size);
    int (*close)(void *addr, size_t size);
    int (*adopt)(void);
    void (*fini)(void); /* NULL: there is nothing to undo */
};
static const struct guard_way guard_ways[] = {
    [TP_GUARD_NONE] = {.adopt = guard_nothing},
    [TP_GUARD_MADVISE] =
        {
            .init = guard_nothing,
            .prepare = guard_madvise_prepare,
            .open = tp_os_guard_remove,
            .close = guard_madvise_close,
            .adopt = guard_nothing,
        },
    [TP_GUARD_USERFAULT] =
        {
            .init = guard_userfault_init,
            .prepare = guard_userfault_prepare,
            .open = guard_userfault_open,
            .close = guard_userfault_close,
            .adopt = guard_userfault_adopt,
            .fini = guard_userfault_fini,
        },
    [TP_GUARD_PROTECT] =
        {
            .init = guard_protect_init,
            .prepare = guard_protect_prepare,
            .open = guard_protect_open,
            .close = guard_protect_close,
            .adopt = guard_nothing,
        },
};

static enum tp_guard_kind guard_kind;

/* Have the system write there: it says EFAULT where the program would get a signal. */
static bool guard_can_be_written(void *page)
{
    return tp_os_read_file(GUARD_MAPPINGS_FILE, page, 1) >= 0;
}

/* Emulators that say yes to any advice are found out by a touch. */
static int guard_probe(const struct guard_way *way)
{
    void *page = tp_os_reserve(TP_OS_PAGE);
    if (page == NULL)
        return -ENOMEM;
    int error = way->prepare(page, TP_OS_PAGE);
    if (error == 0)
        error = guard_can_be_written(page) ? -ENOSYS : way->open(page, TP_OS_PAGE);
    if (error == 0)
        error = way->close(page, TP_OS_PAGE);
    tp_os_release(page, TP_OS_PAGE);
    return error;
}

static int guard_try(enum tp_guard_kind kind)
{
    const struct guard_way *way = &guard_ways[kind];
    int error = way->init();
    if (error != 0)
        return error;
    error = guard_probe(way);
    if (error == 0)
        tp_poke(&guard_kind, kind);
    else if (way->fini != NULL)
        way->fini();
    return error;
}

int tp_guard_init(enum tp_guard_kind wanted)
{
    if (wanted > TP_GUARD_PROTECT)
        return -EINVAL;
    if (wanted != TP_GUARD_NONE)
        return guard_try(wanted);
    int error = -ENOSYS;
    for (int kind = TP_GUARD_MADVISE; error != 0 && kind <= TP_GUARD_PROTECT; kind++)
        error = guard_try((enum tp_guard_kind)kind);
    return error;
}

enum tp_guard_kind tp_guard_kind(void)
{
    return tp_peek(&guard_kind);
}

/* The range that this continues, or a free one. */
static struct guard_range *guard_range_at(const char *addr)
{
    for (struct guard_range *range = guard_ranges; range < guard_ranges + GUARD_RANGES; range++)
        if (range->size == 0 || range->base + range->size == addr)
            return range;
    return NULL;
}

/* Unlocked first: locked space has its memory at once when it becomes accessible. */
static int guard_prepare(char *addr, size_t size)
{
    struct guard_range *range = guard_range_at(addr);
    if (range == NULL)
        return -ENOMEM;
    tp_os_unlock(addr, size);
    int error = guard_ways[guard_kind].prepare(addr, size);
    if (error != 0)
        return error;
    if (range->size == 0)
        range->base = addr;
    range->size += size;
    return 0;
}

int tp_guard_prepare(void *addr, size_t size)
{
    tp_lock(TP_LOCK_GUARDS);
    int error = guard_prepare(addr, size);
    tp_unlock(TP_LOCK_GUARDS);
    return error;
}

int tp_guard_open(void *addr, size_t size)
{
    return guard_ways[guard_kind].open(addr, size);
}

int tp_guard_close(void *addr, size_t size)
{
    return guard_ways[guard_kind].close(addr, size);
}

int tp_guard_adopt(void)
{
    return guard_ways[guard_kind].adopt();
}
