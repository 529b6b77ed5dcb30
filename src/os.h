/*
 * The one contract with the operating system.  os_linux.c keeps it; tests put a fake in its place.
 *
 * Nothing here allocates, takes a lock, or calls a libc function that another preloaded library could have replaced
 * by one that allocates.  Functions return 0 or a negative errno and leave errno alone.
 */
#ifndef TP_OS_H
#define TP_OS_H

#include "base.h"

/* What lies behind pool memory.  Chosen once at start. */
enum tp_backing {
    TP_BACKING_PRIVATE, /* anonymous memory */
    TP_BACKING_SHARED,  /* one memory file, so that a page can be mapped a second time; not usable across fork */
};

/* Reserve address space without memory behind it; NULL when there is not that much. */
void *tp_os_reserve(size_t size);
/* Put a file behind reserved space. */
int tp_os_reserve_at(void *addr, size_t size, int fd);
void tp_os_release(void *addr, size_t size);

/* Make reserved memory usable: zero-filled on first touch. */
int tp_os_commit(void *addr, size_t size);

/* Give memory back to the system; it reads as zero afterwards and stays usable. */
int tp_os_purge(void *addr, size_t size, enum tp_backing backing);

/* Wire memory into RAM, and undo it. */
int tp_os_lock(void *addr, size_t size);
int tp_os_unlock(void *addr, size_t size);

/* The range reads as zero in a child made by fork, however it was made. */
int tp_os_wipe_on_fork(void *addr, size_t size);
void tp_os_no_huge_pages(void *addr, size_t size);

/* Put the memory of whole huge pages into huge pages, now; each must have an OS page behind it already. */
int tp_os_collapse(void *addr, size_t size);

/* Whether the word at this address, a multiple of its size, can be read: of a page it is true for all or none. */
bool tp_os_is_readable(uintptr_t address);

/*
 * The physical frames of `count` OS pages: 0 for one that is not in RAM, and for all where the system keeps them to
 * itself.
 */
int tp_os_page_frames(const void *addr, size_t count, uint64_t *frames);

/* An anonymous memory file of `size` bytes for TP_BACKING_SHARED; a descriptor or a negative errno. */
int tp_os_memory_file(size_t size);

/*
 * The segment: an unnamed file of `size` bytes in `directory`, a descriptor or a negative errno (-EFBIG beyond
 * RLIMIT_FSIZE); its mapping; and its name.  tp_os_file_publish returns -EEXIST when the name is taken.
 */
int tp_os_file_create(const char *directory, size_t size);
void *tp_os_file_map(int fd, size_t size);
int tp_os_file_map_at(int fd, size_t offset, void *addr, size_t size);
int tp_os_file_publish(int fd, const char *path);
int tp_os_file_write(int fd, size_t offset, const void *from, size_t size);
int tp_os_file_reserve(int fd, size_t offset, size_t size); /* room on the file system for a part of it */
void tp_os_close(int fd);
int tp_os_unlink(const char *path);

/* Have the pages of a mapping made now: of a shared one, an error here instead of SIGBUS later. */
int tp_os_populate(void *addr, size_t size);

/* Put fresh private memory, or private space to commit later, over a range, whatever was there. */
int tp_os_map_private_at(void *addr, size_t size);
int tp_os_reserve_private_at(void *addr, size_t size);

/* Make memory inaccessible; what is in it stays. */
int tp_os_protect(void *addr, size_t size);

/*
 * Guards in readable and writable private memory, whatever was there, without a mapping of their own: a touch is
 * SIGSEGV.  -EINVAL before Linux 6.13, and to install in locked memory.  What was a guard reads as zero.
 */
int tp_os_guard_install(void *addr, size_t size);
int tp_os_guard_remove(void *addr, size_t size);

/*
 * A descriptor that makes a touch of absent pages SIGBUS, in private memory registered with it, or a negative errno.
 * One that says so without a handler, and of the program's own touches: so nobody needs a privilege.  -EBUSY: the
 * memory is registered with another.
 */
int tp_os_userfault_open(void);
int tp_os_userfault_register(int fd, void *addr, size_t size);

/* Make absent pages of it present: copies of `from`, or without memory behind them until written, NULL. */
int tp_os_userfault_fill(int fd, void *addr, size_t size, const void *from);

/* What a descriptor stands for, to see whether it still is what was opened; 0: it is closed. */
uint64_t tp_os_file_identity(int fd);

/* Move a mapping over another one, in one step for threads that read there. */
int tp_os_move(void *from, size_t size, void *to);

/* Bytes that nobody can guess, as far as the system has them. */
void tp_os_random(void *to, size_t size);

/* A variable of the environment, or NULL.  getenv may have been replaced by a function that allocates. */
const char *tp_os_environment(const char *name);

/* The path that the program was executed by, NULL where the kernel did not tell; it may use rights its user has not. */
const char *tp_os_program_path(void);
bool tp_os_is_privileged(void);

/* Read at most size bytes of a file that the kernel shows; the length or a negative errno. */
int tp_os_read_file(const char *path, void *buffer, size_t size);

/*
 * Read at most size bytes of a regular file of this user's; the length or a negative errno, -EPERM where it is none:
 * somebody else may have put a pipe there, or a link.
 */
int tp_os_read_own_file(const char *path, void *buffer, size_t size);
/* Map a regular file of this user's, shared and to be written, with its size; NULL where it is none. */
void *tp_os_map_own_file(const char *path, size_t *size);
/* Append to a file of this user's that is there, in one step; -EFBIG beyond RLIMIT_FSIZE. */
int tp_os_append(const char *path, const void *from, size_t size);

/* A file that the kernel shows, to be read in parts: a descriptor or a negative errno; the length read, or one. */
int tp_os_open_kernel_file(const char *path);
int tp_os_read(int fd, void *buffer, size_t size);
int tp_os_read_at(int fd, uint64_t offset, void *buffer, size_t size);

/* Where a symbolic link leads, not terminated; the length or a negative errno. */
int tp_os_read_link(const char *path, char *buffer, size_t size);

void tp_os_write_stderr(const char *text, size_t length);

/* Wait while *word == value, woken by tp_os_futex_wake. */
void tp_os_futex_wait(uint32_t *word, uint32_t value);
void tp_os_futex_wake(uint32_t *word);

void tp_os_sleep_ms(uint32_t ms);
uint64_t tp_os_now_ms(void);      /* monotonic, some milliseconds coarse */
uint64_t tp_os_cpu_ns(void);        /* that this process has used */
uint64_t tp_os_thread_cpu_ns(void); /* that this thread has */
uint64_t tp_os_realtime_ns(void);
uint64_t tp_os_boottime_ns(void); /* since boot, suspend included */
uint32_t tp_os_process_id(void);
uint32_t tp_os_thread_id(void);
uint32_t tp_os_user_id(void);
uint64_t tp_os_pid_namespace(void); /* its inode; 0 without /proc */
bool tp_os_thread_exists(uint32_t thread_id);
size_t tp_os_thread_count(void); /* of this process; 0 without /proc */

/* What a signal interrupted, from the ucontext_t of its handler. */
struct tp_registers {
    uintptr_t pc;
    uintptr_t sp;
    uintptr_t fp;
    bool is_write; /* a fault: by a store; where the machine does not tell, false */
};
void tp_os_registers(const void *context, struct tp_registers *registers);

/* As sigaction, whoever has replaced that. */
struct sigaction;
int tp_os_signal_action(int number, const struct sigaction *action, struct sigaction *old);

/* Hold all signals back in this thread; what was held back before, to be given to the other one. */
uint64_t tp_os_signals_hold(void);
void tp_os_signals_release(uint64_t held);

/* Send this thread a signal once more, with the siginfo_t that it came with. */
int tp_os_signal_again(int number, const void *info);

/*
 * A twin: a child that has this process's memory as it is now, to read and for itself to write, and one thread, which
 * runs work(argument) on the stack given and ends with what it returns.  Signals that somebody sends wait, but for
 * SIGSEGV and SIGBUS.  It tells nobody of its end, is followed by no debugger, and ends with the thread that made it;
 * no handler of fork is called.  Its number or a negative errno.
 *
 * tp_os_wait_for_twin: what work returned (0 to 127), or a negative errno: it did not return.
 */
int tp_os_twin(int (*work)(void *), void *argument, void *stack, size_t size);
int tp_os_wait_for_twin(int twin);

/* Zero-filled memory that a twin shares, without memory behind it until it is touched; NULL: none. */
void *tp_os_share(size_t size);

/* Soft limits in bytes, SIZE_MAX where there is none. */
size_t tp_os_limit_address_space(void);
size_t tp_os_limit_locked(void);

#endif
