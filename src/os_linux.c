/*
 * The contract of os.h on Linux.
 *
 * System calls go through syscall(2): another preloaded library may have replaced mmap or open by a function that
 * calls dlsym, which allocates, which would come back here before we are ready.
 */
#include "os.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/userfaultfd.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif
#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#define MADV_GUARD_REMOVE 103
#endif
#ifndef UFFD_USER_MODE_ONLY
#define UFFD_USER_MODE_ONLY 1
#endif

/*
 * Above what programs choose for themselves, and below where the kernel's table of descriptors grows again.
 * (unsourced: shells use 255, most others the lowest that is free)
 */
#define OS_HIGH_DESCRIPTOR 960

/* An entry of /proc/self/pagemap: the page is in RAM, and in which frame. */
#define PAGEMAP_PRESENT (UINT64_C(1) << 63)
#define PAGEMAP_FRAME ((UINT64_C(1) << 55) - 1)

/* The result as the kernel gives it, errno untouched. */
static long os_call(long number, long a, long b, long c, long d, long e, long f)
{
    int saved = errno;
    long result = syscall(number, a, b, c, d, e, f);
    if (result == -1)
        result = -errno;
    errno = saved;
    return result;
}

static long os_mmap(void *addr, size_t size, int protection, int flags, int fd, size_t offset)
{
    return os_call(SYS_mmap, (long)addr, (long)size, protection, flags, fd, (long)offset);
}

static int os_madvise(void *addr, size_t size, int advice)
{
    return (int)os_call(SYS_madvise, (long)addr, (long)size, advice, 0, 0, 0);
}

static bool os_is_error(long result)
{
    return result < 0 && result > -4096;
}

void *tp_os_reserve(size_t size)
{
    long p = os_mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return os_is_error(p) ? NULL : (void *)p;
}

int tp_os_reserve_at(void *addr, size_t size, int fd)
{
    long p = os_mmap(addr, size, PROT_NONE, MAP_SHARED | MAP_FIXED | MAP_NORESERVE, fd, 0);
    return os_is_error(p) ? (int)p : 0;
}

void tp_os_release(void *addr, size_t size)
{
    os_call(SYS_munmap, (long)addr, (long)size, 0, 0, 0, 0);
}

int tp_os_commit(void *addr, size_t size)
{
    return (int)os_call(SYS_mprotect, (long)addr, (long)size, PROT_READ | PROT_WRITE, 0, 0, 0);
}

int tp_os_purge(void *addr, size_t size, enum tp_backing backing)
{
    return os_madvise(addr, size, backing == TP_BACKING_SHARED ? MADV_REMOVE : MADV_DONTNEED);
}

int tp_os_lock(void *addr, size_t size)
{
    return (int)os_call(SYS_mlock, (long)addr, (long)size, 0, 0, 0, 0);
}

int tp_os_unlock(void *addr, size_t size)
{
    return (int)os_call(SYS_munlock, (long)addr, (long)size, 0, 0, 0, 0);
}

int tp_os_wipe_on_fork(void *addr, size_t size)
{
    return os_madvise(addr, size, MADV_WIPEONFORK);
}

void tp_os_no_huge_pages(void *addr, size_t size)
{
    os_madvise(addr, size, MADV_NOHUGEPAGE);
}

int tp_os_collapse(void *addr, size_t size)
{
    return os_madvise(addr, size, MADV_COLLAPSE);
}

/* Growing a file past RLIMIT_FSIZE would raise SIGXFSZ, so ask first. */
static int os_resize(int fd, size_t size)
{
    struct rlimit limit;
    if (os_call(SYS_prlimit64, 0, RLIMIT_FSIZE, 0, (long)&limit, 0, 0) == 0 && limit.rlim_cur < size)
        return -EFBIG;
    return (int)os_call(SYS_ftruncate, fd, (long)size, 0, 0, 0, 0);
}

/* A program started without stdin, stdout or stderr must not find a file of ours in their place. */
static int os_move_up(int fd)
{
    if (fd < 0 || fd > STDERR_FILENO)
        return fd;
    int moved = (int)os_call(SYS_fcntl, fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1, 0, 0, 0);
    tp_os_close(fd);
    return moved;
}

/* A fresh file of this size; `fd` may be an error, and is passed on. */
static int os_file_of_size(int fd, size_t size)
{
    fd = os_move_up(fd);
    if (fd < 0)
        return fd;
    int error = os_resize(fd, size);
    if (error == 0)
        return fd;
    tp_os_close(fd);
    return error;
}

int tp_os_memory_file(size_t size)
{
    return os_file_of_size((int)os_call(SYS_memfd_create, (long)"tagpool", MFD_CLOEXEC, 0, 0, 0, 0), size);
}

int tp_os_file_create(const char *directory, size_t size)
{
    int flags = O_TMPFILE | O_RDWR | O_CLOEXEC;
    return os_file_of_size((int)os_call(SYS_openat, AT_FDCWD, (long)directory, flags, 0600, 0, 0), size);
}

void *tp_os_file_map(int fd, size_t size)
{
    long p = os_mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
    return os_is_error(p) ? NULL : (void *)p;
}

int tp_os_file_map_at(int fd, size_t offset, void *addr, size_t size)
{
    long p = os_mmap(addr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED | MAP_NORESERVE, fd, offset);
    return os_is_error(p) ? (int)p : 0;
}

int tp_os_file_publish(int fd, const char *path)
{
    char source[32] = "/proc/self/fd/";
    char digits[12];
    int n = 0;
    for (int rest = fd; rest > 0 || n == 0; rest /= 10)
        digits[n++] = (char)('0' + rest % 10);
    for (int i = 0; i < n; i++)
        source[14 + i] = digits[n - 1 - i];
    return (int)os_call(SYS_linkat, AT_FDCWD, (long)source, AT_FDCWD, (long)path, AT_SYMLINK_FOLLOW, 0);
}

void tp_os_close(int fd)
{
    os_call(SYS_close, fd, 0, 0, 0, 0, 0);
}

int tp_os_unlink(const char *path)
{
    return (int)os_call(SYS_unlinkat, AT_FDCWD, (long)path, 0, 0, 0, 0);
}

int tp_os_populate(void *addr, size_t size)
{
    return os_madvise(addr, size, MADV_POPULATE_WRITE);
}

int tp_os_reserve_private_at(void *addr, size_t size)
{
    long p = os_mmap(addr, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0);
    return os_is_error(p) ? (int)p : 0;
}

int tp_os_move(void *from, size_t size, void *to)
{
    long p = os_call(SYS_mremap, (long)from, (long)size, (long)size, MREMAP_MAYMOVE | MREMAP_FIXED, (long)to, 0);
    return os_is_error(p) ? (int)p : 0;
}

int tp_os_map_private_at(void *addr, size_t size)
{
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE;
    long p = os_mmap(addr, size, PROT_READ | PROT_WRITE, flags, -1, 0);
    return os_is_error(p) ? (int)p : 0;
}

int tp_os_protect(void *addr, size_t size)
{
    return (int)os_call(SYS_mprotect, (long)addr, (long)size, PROT_NONE, 0, 0, 0);
}

int tp_os_guard_install(void *addr, size_t size)
{
    return os_madvise(addr, size, MADV_GUARD_INSTALL);
}

int tp_os_guard_remove(void *addr, size_t size)
{
    return os_madvise(addr, size, MADV_GUARD_REMOVE);
}

static int os_ioctl(int fd, unsigned long request, void *argument)
{
    return (int)os_call(SYS_ioctl, fd, (long)request, (long)argument, 0, 0, 0);
}

/* Out of the way of programs that count on low numbers; where the limit does not allow it, where it is. */
static int os_move_high(int fd)
{
    int moved = (int)os_call(SYS_fcntl, fd, F_DUPFD_CLOEXEC, OS_HIGH_DESCRIPTOR, 0, 0, 0);
    if (moved < 0)
        return os_move_up(fd);
    tp_os_close(fd);
    return moved;
}

int tp_os_userfault_open(void)
{
    int fd = (int)os_call(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY, 0, 0, 0, 0, 0);
    if (fd < 0)
        return fd;
    struct uffdio_api api = {.api = UFFD_API, .features = UFFD_FEATURE_SIGBUS};
    int error = os_ioctl(fd, UFFDIO_API, &api);
    if (error == 0)
        return os_move_high(fd);
    tp_os_close(fd);
    return error;
}

int tp_os_userfault_register(int fd, void *addr, size_t size)
{
    struct uffdio_register range = {.range = {(uintptr_t)addr, size}, .mode = UFFDIO_REGISTER_MODE_MISSING};
    return os_ioctl(fd, UFFDIO_REGISTER, &range);
}

/* How many bytes one call filled. */
static long os_userfault_fill_some(int fd, uintptr_t addr, size_t size, const char *from)
{
    struct uffdio_copy copy = {.dst = addr, .src = (uintptr_t)from, .len = size};
    struct uffdio_zeropage zero = {.range = {addr, size}};
    int error = from != NULL ? os_ioctl(fd, UFFDIO_COPY, &copy) : os_ioctl(fd, UFFDIO_ZEROPAGE, &zero);
    int64_t filled = from != NULL ? copy.copy : zero.zeropage;
    return error == -EAGAIN ? (long)(filled > 0 ? filled : 0) : error != 0 ? error : (long)size;
}

int tp_os_userfault_fill(int fd, void *addr, size_t size, const void *from)
{
    for (size_t done = 0; done < size;) {
        const char *rest = from != NULL ? (const char *)from + done : NULL;
        long filled = os_userfault_fill_some(fd, (uintptr_t)addr + done, size - done, rest);
        if (filled < 0)
            return (int)filled;
        done += (size_t)filled;
    }
    return 0;
}

uint64_t tp_os_file_identity(int fd)
{
    struct stat status;
    if (os_call(SYS_fstat, fd, (long)&status, 0, 0, 0, 0) != 0)
        return 0;
    return (uint64_t)status.st_ino ^ (uint64_t)status.st_dev << 48;
}

int tp_os_file_reserve(int fd, size_t offset, size_t size)
{
    return size > 0 ? (int)os_call(SYS_fallocate, fd, 0, (long)offset, (long)size, 0, 0) : 0;
}

int tp_os_file_write(int fd, size_t offset, const void *from, size_t size)
{
    while (size > 0) {
        long n = os_call(SYS_pwrite64, fd, (long)from, (long)size, (long)offset, 0, 0);
        if (n <= 0 && n != -EINTR)
            return n == 0 ? -EIO : (int)n;
        if (n > 0) {
            from = (const char *)from + n;
            offset += (size_t)n;
            size -= (size_t)n;
        }
    }
    return 0;
}

static bool os_is_own_file(int fd)
{
    struct stat status;
    return os_call(SYS_fstat, fd, (long)&status, 0, 0, 0, 0) == 0 && S_ISREG(status.st_mode) &&
           status.st_uid == tp_os_user_id();
}

int tp_os_read_file(const char *path, void *buffer, size_t size)
{
    int fd = (int)os_call(SYS_openat, AT_FDCWD, (long)path, O_RDONLY | O_CLOEXEC | O_NOCTTY, 0, 0, 0);
    if (fd < 0)
        return fd;
    int n = (int)os_call(SYS_read, fd, (long)buffer, (long)size, 0, 0, 0);
    tp_os_close(fd);
    return n;
}

int tp_os_read_own_file(const char *path, void *buffer, size_t size)
{
    int flags = O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;
    int fd = (int)os_call(SYS_openat, AT_FDCWD, (long)path, flags, 0, 0, 0);
    if (fd < 0)
        return fd;
    int n = os_is_own_file(fd) ? (int)os_call(SYS_read, fd, (long)buffer, (long)size, 0, 0, 0) : -EPERM;
    tp_os_close(fd);
    return n;
}

void *tp_os_map_own_file(const char *path, size_t *size)
{
    struct stat status;
    int flags = O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;
    int fd = (int)os_call(SYS_openat, AT_FDCWD, (long)path, flags, 0, 0, 0);
    if (fd < 0)
        return NULL;
    void *map = NULL;
    if (os_is_own_file(fd) && os_call(SYS_fstat, fd, (long)&status, 0, 0, 0, 0) == 0 && status.st_size > 0) {
        *size = (size_t)status.st_size;
        map = tp_os_file_map(fd, *size);
    }
    tp_os_close(fd);
    return map;
}

static size_t os_limit(int resource)
{
    struct rlimit limit;
    if (os_call(SYS_prlimit64, 0, resource, 0, (long)&limit, 0, 0) != 0 || limit.rlim_cur == RLIM_INFINITY)
        return SIZE_MAX;
    return limit.rlim_cur;
}

/* Beyond RLIMIT_FSIZE a write ends the process by a signal. */
static bool os_may_grow(int fd, size_t size)
{
    size_t limit = os_limit(RLIMIT_FSIZE);
    long end = os_call(SYS_lseek, fd, 0, SEEK_END, 0, 0, 0);
    return end >= 0 && size <= limit && (size_t)end <= limit - size;
}

static long os_append(int fd, const void *from, size_t size)
{
    if (!os_is_own_file(fd))
        return -EPERM;
    return os_may_grow(fd, size) ? os_call(SYS_write, fd, (long)from, (long)size, 0, 0, 0) : -EFBIG;
}

int tp_os_append(const char *path, const void *from, size_t size)
{
    int flags = O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;
    int fd = (int)os_call(SYS_openat, AT_FDCWD, (long)path, flags, 0, 0, 0);
    if (fd < 0)
        return fd;
    long n = os_append(fd, from, size);
    tp_os_close(fd);
    return n == (long)size ? 0 : n < 0 ? (int)n : -ENOSPC;
}

int tp_os_open_kernel_file(const char *path)
{
    return os_move_up((int)os_call(SYS_openat, AT_FDCWD, (long)path, O_RDONLY | O_CLOEXEC | O_NOCTTY, 0, 0, 0));
}

int tp_os_read(int fd, void *buffer, size_t size)
{
    long n;
    do
        n = os_call(SYS_read, fd, (long)buffer, (long)size, 0, 0, 0);
    while (n == -EINTR);
    return (int)n;
}

int tp_os_read_at(int fd, uint64_t offset, void *buffer, size_t size)
{
    long n;
    do
        n = os_call(SYS_pread64, fd, (long)buffer, (long)size, (long)offset, 0, 0);
    while (n == -EINTR);
    return (int)n;
}

int tp_os_read_link(const char *path, char *buffer, size_t size)
{
    return (int)os_call(SYS_readlinkat, AT_FDCWD, (long)path, (long)buffer, (long)size, 0, 0);
}

void tp_os_write_stderr(const char *text, size_t length)
{
    while (length > 0) {
        long n = os_call(SYS_write, STDERR_FILENO, (long)text, (long)length, 0, 0, 0);
        if (n <= 0 && n != -EINTR)
            return;
        if (n > 0) {
            text += n;
            length -= (size_t)n;
        }
    }
}

/*
 * The kernel reads the mask of signals before it looks at what to do with it, and this is nothing it could do.  Unlike
 * process_vm_readv, no sandbox forbids it, and unlike a write to a pipe it needs no descriptor.
 */
bool tp_os_is_readable(uintptr_t address)
{
    return os_call(SYS_rt_sigprocmask, -1, (long)address, 0, sizeof(uint64_t), 0, 0) == -EINVAL;
}

static int os_read_page_map(int fd, uintptr_t page, size_t count, uint64_t *entries)
{
    size_t size = count * sizeof(entries[0]);
    long n = os_call(SYS_pread64, fd, (long)entries, (long)size, (long)(page * sizeof(entries[0])), 0, 0);
    if (n >= 0)
        return (size_t)n == size ? 0 : -EIO;
    return (int)n;
}

int tp_os_page_frames(const void *addr, size_t count, uint64_t *frames)
{
    int fd = os_move_up((int)os_call(SYS_openat, AT_FDCWD, (long)"/proc/self/pagemap", O_RDONLY | O_CLOEXEC, 0, 0, 0));
    if (fd < 0)
        return fd;
    int error = os_read_page_map(fd, (uintptr_t)addr >> TP_OS_PAGE_SHIFT, count, frames);
    tp_os_close(fd);
    for (size_t i = 0; error == 0 && i < count; i++)
        frames[i] = (frames[i] & PAGEMAP_PRESENT) != 0 ? frames[i] & PAGEMAP_FRAME : 0;
    return error;
}

void tp_os_futex_wait(uint32_t *word, uint32_t value)
{
    os_call(SYS_futex, (long)word, FUTEX_WAIT_PRIVATE, value, 0, 0, 0);
}

void tp_os_futex_wake(uint32_t *word)
{
    os_call(SYS_futex, (long)word, FUTEX_WAKE_PRIVATE, 1, 0, 0, 0);
}

/* By system call: libraries that fake the time replace clock_gettime, and may allocate in it. */
static uint64_t os_clock_ns(clockid_t clock)
{
    struct timespec now = {0, 0};
    os_call(SYS_clock_gettime, clock, (long)&now, 0, 0, 0, 0);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void tp_os_sleep_ms(uint32_t ms)
{
    struct timespec left = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    while (clock_nanosleep(CLOCK_MONOTONIC, 0, &left, &left) == EINTR)
        ;
}

/* Early in the life of the system the kernel gives what it has; before Linux 5.6 and without entropy, nothing. */
void tp_os_random(void *to, size_t size)
{
    if (os_call(SYS_getrandom, (long)to, (long)size, GRND_INSECURE, 0, 0, 0) == (long)size ||
        os_call(SYS_getrandom, (long)to, (long)size, GRND_NONBLOCK, 0, 0, 0) == (long)size)
        return;
    uint64_t state = tp_os_boottime_ns() ^ (uintptr_t)to << 20 ^ tp_os_process_id();
    for (size_t i = 0; i < size; i++) {
        state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        ((uint8_t *)to)[i] = (uint8_t)(state >> 56);
    }
}

uint64_t tp_os_now_ms(void)
{
    return os_clock_ns(CLOCK_MONOTONIC_COARSE) / 1000000u;
}

uint64_t tp_os_cpu_ns(void)
{
    return os_clock_ns(CLOCK_PROCESS_CPUTIME_ID);
}

uint64_t tp_os_thread_cpu_ns(void)
{
    return os_clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

uint64_t tp_os_realtime_ns(void)
{
    return os_clock_ns(CLOCK_REALTIME);
}

uint64_t tp_os_boottime_ns(void)
{
    return os_clock_ns(CLOCK_BOOTTIME);
}

#if defined(__x86_64__)
static void os_read_registers(const mcontext_t *machine, struct tp_registers *registers)
{
    registers->pc = (uintptr_t)machine->gregs[REG_RIP];
    registers->sp = (uintptr_t)machine->gregs[REG_RSP];
    registers->fp = (uintptr_t)machine->gregs[REG_RBP];
    registers->is_write = (machine->gregs[REG_ERR] & 2) != 0;
}
#else
static void os_read_registers(const mcontext_t *machine, struct tp_registers *registers)
{
    registers->pc = machine->pc;
    registers->sp = machine->sp;
    registers->fp = machine->regs[29];
    registers->is_write = false;
}
#endif

void tp_os_registers(const void *context, struct tp_registers *registers)
{
    os_read_registers(&((const ucontext_t *)context)->uc_mcontext, registers);
}

/* The C library's own name, for the kernel wants what only it knows: how to return from a handler. */
extern int __sigaction(int number, const struct sigaction *action, struct sigaction *old);

int tp_os_signal_action(int number, const struct sigaction *action, struct sigaction *old)
{
    return __sigaction(number, action, old) == 0 ? 0 : -EINVAL;
}

uint64_t tp_os_signals_hold(void)
{
    uint64_t all = UINT64_MAX, held = 0;
    os_call(SYS_rt_sigprocmask, SIG_SETMASK, (long)&all, (long)&held, sizeof(all), 0, 0);
    return held;
}

void tp_os_signals_release(uint64_t held)
{
    os_call(SYS_rt_sigprocmask, SIG_SETMASK, (long)&held, 0, sizeof(held), 0, 0);
}

int tp_os_signal_again(int number, const void *info)
{
    return (int)os_call(SYS_rt_tgsigqueueinfo, tp_os_process_id(), tp_os_thread_id(), number, (long)info, 0, 0);
}

uint32_t tp_os_process_id(void)
{
    return (uint32_t)os_call(SYS_getpid, 0, 0, 0, 0, 0, 0);
}

uint32_t tp_os_thread_id(void)
{
    return (uint32_t)os_call(SYS_gettid, 0, 0, 0, 0, 0, 0);
}

uint32_t tp_os_user_id(void)
{
    return (uint32_t)os_call(SYS_geteuid, 0, 0, 0, 0, 0, 0);
}

uint64_t tp_os_pid_namespace(void)
{
    struct stat status;
    long result = os_call(SYS_newfstatat, AT_FDCWD, (long)"/proc/self/ns/pid", (long)&status, 0, 0, 0);
    return result == 0 ? status.st_ino : 0;
}

bool tp_os_thread_exists(uint32_t thread_id)
{
    return os_call(SYS_tgkill, tp_os_process_id(), thread_id, 0, 0, 0, 0) != -ESRCH;
}

size_t tp_os_thread_count(void)
{
    struct stat status;
    long result = os_call(SYS_newfstatat, AT_FDCWD, (long)"/proc/self/task", (long)&status, 0, 0, 0);
    return result == 0 && status.st_nlink > 2 ? status.st_nlink - 2 : 0;
}

/* --- twins ---------------------------------------------------------------------------------------------------- */

/* The C library's own name; unlike fork it calls no handlers. */
extern int __clone(int (*work)(void *), void *stack, int flags, void *argument, ...);

/* All signals, as the kernel's set, but for those that an instruction raises. */
static const uint64_t os_sent_signals = ~(UINT64_C(1) << (SIGSEGV - 1) | UINT64_C(1) << (SIGBUS - 1));

static void os_mask_signals(const uint64_t *mask, uint64_t *old)
{
    os_call(SYS_rt_sigprocmask, SIG_SETMASK, (long)mask, (long)old, sizeof(*mask), 0, 0);
}

struct os_twin {
    int (*work)(void *);
    void *argument;
};

/* Signals are blocked.  Who made it may be gone before it says that it wants to go as well. */
static int os_twin_main(void *argument)
{
    const struct os_twin *twin = argument;
    os_call(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0, 0);
    return twin->work(twin->argument);
}

int tp_os_twin(int (*work)(void *), void *argument, void *stack, size_t size)
{
    struct os_twin twin = {work, argument};
    int saved = errno;
    uint64_t mask;
    os_mask_signals(&os_sent_signals, &mask);
    int number = __clone(os_twin_main, (char *)stack + size, CLONE_UNTRACED, &twin);
    if (number < 0)
        number = -errno;
    os_mask_signals(&mask, NULL);
    errno = saved;
    return number;
}

int tp_os_wait_for_twin(int twin)
{
    int status;
    long result;
    do
        result = os_call(SYS_wait4, twin, (long)&status, __WALL, 0, 0, 0);
    while (result == -EINTR);
    if (result < 0)
        return (int)result;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -EIO;
}

void *tp_os_share(size_t size)
{
    long p = os_mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return os_is_error(p) ? NULL : (void *)p;
}

size_t tp_os_limit_address_space(void)
{
    return os_limit(RLIMIT_AS);
}

size_t tp_os_limit_locked(void)
{
    return os_limit(RLIMIT_MEMLOCK);
}

const char *tp_os_environment(const char *name)
{
    size_t length = strlen(name);
    for (char **entry = environ; entry != NULL && *entry != NULL; entry++)
        if (strncmp(*entry, name, length) == 0 && (*entry)[length] == '=')
            return *entry + length + 1;
    return NULL;
}

const char *tp_os_program_path(void)
{
    return (const char *)getauxval(AT_EXECFN);
}

bool tp_os_is_privileged(void)
{
    return getauxval(AT_SECURE) != 0;
}
