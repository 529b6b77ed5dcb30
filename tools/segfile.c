#include "segfile.h"
#include "memory.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* An honest file has a handful of runs of data: tables, and one run of rows a region. */
#define SEGFILE_MAX_RUNS 1024

/* ---- F2: a guard around whatever touches the mapping ---- */

static sigjmp_buf segfile_fault;
static const struct segfile *volatile segfile_guarded;

static void segfile_on_sigbus(int signal_number, siginfo_t *info, void *context)
{
    (void)context;
    const struct segfile *file = segfile_guarded;
    const char *address = info->si_addr;
    if (file != NULL && address >= (const char *)file->base && address < (const char *)file->base + file->size)
        siglongjmp(segfile_fault, 1);
    signal(signal_number, SIG_DFL); /* not ours: it strikes again when we return */
}

int segfile_guard(const struct segfile *file, int (*action)(const struct segfile *file, void *context), void *context)
{
    struct sigaction handler = {.sa_sigaction = segfile_on_sigbus, .sa_flags = SA_SIGINFO}, before;
    sigemptyset(&handler.sa_mask);
    sigaction(SIGBUS, &handler, &before);

    volatile int result = -EFAULT;
    if (sigsetjmp(segfile_fault, 1) == 0) {
        segfile_guarded = file;
        result = action(file, context);
    }
    segfile_guarded = NULL;
    sigaction(SIGBUS, &before, NULL);
    return result;
}

/* ---- F3: map the data, not the holes ---- */

static int segfile_map_run(struct segfile *file, int fd, off_t start, off_t end)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t from = (size_t)start / page * page;
    size_t length = (size_t)end - from;
    void *at = (char *)file->base + from;
    int flags = MAP_SHARED | MAP_FIXED | MAP_POPULATE;
    return mmap(at, length, PROT_READ, flags, fd, (off_t)from) == MAP_FAILED ? -errno : 0;
}

static int segfile_map_runs(struct segfile *file, int fd)
{
    off_t size = (off_t)file->size, end = 0;
    for (int runs = 0; runs < SEGFILE_MAX_RUNS; runs++) {
        off_t start = lseek(fd, end, SEEK_DATA);
        if (start < 0 || start >= size)
            return start < 0 && errno != ENXIO ? -errno : 0;
        end = lseek(fd, start, SEEK_HOLE);
        if (end <= start || end > size) /* it changed under us: what is left we do not need */
            end = size;
        int error = segfile_map_run(file, fd, start, end);
        if (error != 0 || end == size)
            return error;
    }
    return -EBADMSG;
}

static int segfile_map(struct segfile *file, int fd)
{
    /* Zeros that cost nothing.  A read of a hole in a mapped file would make /dev/shm allocate a page for it. */
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    file->base = mmap(NULL, file->size, PROT_READ, flags, -1, 0);
    if (file->base == MAP_FAILED) {
        file->base = NULL;
        return -errno;
    }
    return segfile_map_runs(file, fd);
}

/* ---- opening ---- */

/* F1. */
static int segfile_check(struct segfile *file, int fd)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return -errno;
    if (!S_ISREG(st.st_mode))
        return -ENODEV;
    if (st.st_uid != geteuid() && geteuid() != 0)
        return -EPERM;
    file->size = (size_t)st.st_size;
    file->owner = st.st_uid;
    file->device = st.st_dev;
    file->inode = st.st_ino;
    file->modified = st.st_mtim;
    return st.st_size == 0 ? -EINVAL : 0;
}

static int segfile_validate(const struct segfile *file, void *context)
{
    struct segfile *result = context;
    int error = tp_census_open(&result->view, file->base, file->size);
    if (error != 0)
        return error;
    memcpy(&result->header, file->base, sizeof(result->header));
    result->header.program[sizeof(result->header.program) - 1] = '\0';
    return 0;
}

int segfile_open(struct segfile *file, int directory, const char *name)
{
    memset(file, 0, sizeof(*file));
    int fd = openat(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return -errno;
    int error = segfile_check(file, fd);
    if (error == 0)
        error = segfile_map(file, fd);
    if (error == 0)
        error = segfile_guard(file, segfile_validate, file);
    close(fd);
    if (error != 0)
        segfile_close(file);
    return error;
}

void segfile_close(struct segfile *file)
{
    if (file->base != NULL)
        munmap(file->base, file->size);
    file->base = NULL;
}

/*
 * A read lease is granted only where nobody has the file open for writing, and a mapping holds the file open.  The
 * kernel would tell us by a signal if somebody opened it just now: by one that is ignored by default.
 */
int segfile_is_in_use(int directory, const char *name)
{
    int fd = openat(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return 1;
    fcntl(fd, F_SETSIG, SIGURG);
    int granted = fcntl(fd, F_SETLEASE, F_RDLCK) == 0;
    if (granted)
        fcntl(fd, F_SETLEASE, F_UNLCK);
    close(fd);
    return !granted;
}

/* ---- reading ---- */

static int segfile_limits(const struct segfile *file, void *context)
{
    struct segfile_reading *reading = context;
    reading->count = tp_census_slot_limit(&file->view);
    reading->quota_count = tp_census_quota_limit(&file->view);
    return 0;
}

/* A row that goes from one account to another while it is copied is left out. */
static void segfile_copy_quotas(const struct segfile *file, struct segfile_reading *reading)
{
    for (uint32_t i = 0; i < reading->quota_count; i++) {
        const struct tagpool_segment_quota *row = &file->view.quotas[i];
        uint32_t sequence = __atomic_load_n(&row->sequence, __ATOMIC_ACQUIRE);
        memcpy(&reading->quotas[i], row, sizeof(*row));
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        if (sequence % 2 != 0 || __atomic_load_n(&row->sequence, __ATOMIC_RELAXED) != sequence)
            reading->quotas[i].used = 0;
    }
}

static int segfile_fill(const struct segfile *file, void *context)
{
    struct segfile_reading *reading = context;
    const struct tagpool_segment_header *header = file->view.header;
    tp_census_sum(&file->view, 0, reading->count, reading->sums);
    memcpy(reading->slots, file->view.slots, reading->count * sizeof(*reading->slots));
    segfile_copy_quotas(file, reading);
    reading->flags = __atomic_load_n(&header->flags, __ATOMIC_RELAXED);
    reading->touched_bytes = __atomic_load_n(&header->touched_bytes, __ATOMIC_RELAXED);
    reading->metadata_bytes = __atomic_load_n(&header->metadata_bytes, __ATOMIC_RELAXED);
    reading->locked_bytes = __atomic_load_n(&header->locked_bytes, __ATOMIC_RELAXED);
    return 0;
}

int segfile_read(const struct segfile *file, struct segfile_reading *reading)
{
    memset(reading, 0, sizeof(*reading));
    int error = segfile_guard(file, segfile_limits, reading);
    if (error != 0)
        return error;
    reading->slots = memory_alloc(reading->count, sizeof(*reading->slots));
    reading->sums = memory_alloc(reading->count, sizeof(*reading->sums));
    reading->quotas = memory_alloc(reading->quota_count, sizeof(*reading->quotas));
    return segfile_guard(file, segfile_fill, reading);
}

void segfile_reading_free(struct segfile_reading *reading)
{
    free(reading->slots);
    free(reading->sums);
    free(reading->quotas);
    memset(reading, 0, sizeof(*reading));
}

/* All fields are numbers of 64 bits. */
static int segfile_sum_verifier(const struct segfile *file, void *context)
{
    uint64_t *to = context;
    for (size_t part = 0; part < TAGPOOL_SEGMENT_VERIFIER_PARTS; part++) {
        const uint64_t *from = (const uint64_t *)&file->view.header->verifier[part];
        for (size_t i = 0; i < sizeof(struct tagpool_segment_verifier) / sizeof(*to); i++)
            to[i] += __atomic_load_n(&from[i], __ATOMIC_RELAXED);
    }
    return 0;
}

int segfile_read_verifier(const struct segfile *file, struct tagpool_segment_verifier *sums)
{
    memset(sums, 0, sizeof(*sums));
    int error = segfile_guard(file, segfile_sum_verifier, sums);
    sums->succeeded_total += sums->settled_total;
    sums->watched_total += sums->settled_total;
    sums->settled_total = 0;
    return error;
}

const char *segfile_error_text(int error)
{
    static const struct {
        int error;
        const char *text;
    } rows[] = {
        {-EPERM, "it belongs to another user"},
        {-EACCES, "it belongs to another user"},
        {-ENODEV, "it is no regular file"},
        {-ELOOP, "it is a symbolic link"},
        {-EINVAL, "it is no segment"},
        {-EPROTONOSUPPORT, "it was made by another version of tagpool"},
        {-EBADMSG, "it is damaged"},
        {-EFAULT, "it was cut off while being read"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (rows[i].error == error)
            return rows[i].text;
    return strerror(-error);
}
