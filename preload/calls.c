/*
 * Functions that hand a buffer to the kernel, each with a look at it: in the module that is there only where a program
 * runs under the verifier.
 *
 * The kernel that finds a guard page says EFAULT, or fills a buffer up to there, and no signal comes.  A buffer that is
 * given with a length beyond its block's end is stopped before the call, however few bytes would have come.  What
 * buffered streams read and write goes through such calls too, without another look.
 */

/* Each name stands for itself here, and none for a function with checks of its own. */
#undef _FILE_OFFSET_BITS
#undef _FORTIFY_SOURCE

#include "next.h"

#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <tagpool/report.h>

#define EXPORT __attribute__((visibility("default")))
#define ALWAYS_INLINE static inline __attribute__((always_inline))

/* Of the preload module: does nothing where no rule is in force, and for calls of its own. */
extern void tagpool_verify_buffer(const void *p, size_t size, enum tagpool_report_access access, const void *caller)
    __attribute__((weak));

/* --- looks ---------------------------------------------------------------------------------------------------- */

#define READS TAGPOOL_REPORT_READ
#define WRITES TAGPOOL_REPORT_WRITE

ALWAYS_INLINE void calls_check(const void *p, size_t size, enum tagpool_report_access access, const void *caller)
{
    if (tagpool_verify_buffer != NULL)
        tagpool_verify_buffer(p, size, access, caller);
}

/* What is not counted in bytes, and may be more than there are. */
ALWAYS_INLINE void calls_check_many(const void *p, size_t size, size_t count, enum tagpool_report_access access,
                                    const void *caller)
{
    size_t bytes;
    if (__builtin_mul_overflow(size, count, &bytes))
        bytes = SIZE_MAX;
    calls_check(p, bytes, access, caller);
}

/* The kernel refuses more, or none at all, and looks at nothing then. */
static void calls_check_vectors(const struct iovec *vectors, size_t count, enum tagpool_report_access access,
                                const void *caller)
{
    if (vectors == NULL || count > IOV_MAX)
        return;
    calls_check(vectors, count * sizeof(*vectors), READS, caller);
    for (size_t i = 0; i < count; i++)
        calls_check(vectors[i].iov_base, vectors[i].iov_len, access, caller);
}

static void calls_check_message(const struct msghdr *message, enum tagpool_report_access access, const void *caller)
{
    if (message == NULL)
        return;
    calls_check(message, sizeof(*message), READS, caller);
    calls_check(message->msg_name, message->msg_namelen, access, caller);
    calls_check(message->msg_control, message->msg_controllen, access, caller);
    calls_check_vectors(message->msg_iov, message->msg_iovlen, access, caller);
}

static void calls_check_messages(const struct mmsghdr *messages, unsigned count, enum tagpool_report_access access,
                                 const void *caller)
{
    if (messages == NULL || count > IOV_MAX)
        return;
    calls_check(messages, count * sizeof(*messages), READS, caller);
    for (unsigned i = 0; i < count; i++)
        calls_check_message(&messages[i].msg_hdr, access, caller);
}

/* --- the functions -------------------------------------------------------------------------------------------- */

#define HERE __builtin_return_address(0)
#define BYTES(p, size, access) calls_check((p), (size), (access), HERE)
#define MANY(p, size, count, access) calls_check_many((p), (size), (count), (access), HERE)
#define LINE(p, size) calls_check((p), (size) > 0 ? (size_t)(size) : 0, WRITES, HERE)
#define VECTORS(p, count, access) calls_check_vectors((p), (size_t)(count), (access), HERE)
#define MESSAGE(p, access) calls_check_message((p), (access), HERE)
#define MESSAGES(p, count, access) calls_check_messages((p), (count), (access), HERE)

/* X(type, name, parameters, their names, look).  The C library has some of them as macros too: so (name) below. */
#define CALLS(X)                                                                                                       \
    X(ssize_t, read, (int fd, void *p, size_t n), (fd, p, n), BYTES(p, n, WRITES))                                     \
    X(ssize_t, pread, (int fd, void *p, size_t n, off_t at), (fd, p, n, at), BYTES(p, n, WRITES))                      \
    X(ssize_t, pread64, (int fd, void *p, size_t n, off64_t at), (fd, p, n, at), BYTES(p, n, WRITES))                  \
    X(ssize_t, readv, (int fd, const struct iovec *v, int n), (fd, v, n), VECTORS(v, n, WRITES))                       \
    X(ssize_t, preadv, (int fd, const struct iovec *v, int n, off_t at), (fd, v, n, at), VECTORS(v, n, WRITES))        \
    X(ssize_t, preadv64, (int fd, const struct iovec *v, int n, off64_t at), (fd, v, n, at), VECTORS(v, n, WRITES))    \
    X(ssize_t, preadv2, (int fd, const struct iovec *v, int n, off_t at, int flags), (fd, v, n, at, flags),            \
      VECTORS(v, n, WRITES))                                                                                           \
    X(ssize_t, preadv64v2, (int fd, const struct iovec *v, int n, off64_t at, int flags), (fd, v, n, at, flags),       \
      VECTORS(v, n, WRITES))                                                                                           \
    X(ssize_t, write, (int fd, const void *p, size_t n), (fd, p, n), BYTES(p, n, READS))                               \
    X(ssize_t, pwrite, (int fd, const void *p, size_t n, off_t at), (fd, p, n, at), BYTES(p, n, READS))                \
    X(ssize_t, pwrite64, (int fd, const void *p, size_t n, off64_t at), (fd, p, n, at), BYTES(p, n, READS))            \
    X(ssize_t, writev, (int fd, const struct iovec *v, int n), (fd, v, n), VECTORS(v, n, READS))                       \
    X(ssize_t, pwritev, (int fd, const struct iovec *v, int n, off_t at), (fd, v, n, at), VECTORS(v, n, READS))        \
    X(ssize_t, pwritev64, (int fd, const struct iovec *v, int n, off64_t at), (fd, v, n, at), VECTORS(v, n, READS))    \
    X(ssize_t, pwritev2, (int fd, const struct iovec *v, int n, off_t at, int flags), (fd, v, n, at, flags),           \
      VECTORS(v, n, READS))                                                                                            \
    X(ssize_t, pwritev64v2, (int fd, const struct iovec *v, int n, off64_t at, int flags), (fd, v, n, at, flags),      \
      VECTORS(v, n, READS))                                                                                            \
    X(ssize_t, recv, (int fd, void *p, size_t n, int flags), (fd, p, n, flags), BYTES(p, n, WRITES))                   \
    X(ssize_t, recvfrom, (int fd, void *p, size_t n, int flags, struct sockaddr *from, socklen_t *size),               \
      (fd, p, n, flags, from, size), BYTES(p, n, WRITES))                                                              \
    X(ssize_t, recvmsg, (int fd, struct msghdr *message, int flags), (fd, message, flags), MESSAGE(message, WRITES))   \
    X(int, recvmmsg, (int fd, struct mmsghdr *messages, unsigned n, int flags, struct timespec *wait),                 \
      (fd, messages, n, flags, wait), MESSAGES(messages, n, WRITES))                                                   \
    X(ssize_t, send, (int fd, const void *p, size_t n, int flags), (fd, p, n, flags), BYTES(p, n, READS))              \
    X(ssize_t, sendto, (int fd, const void *p, size_t n, int flags, const struct sockaddr *to, socklen_t size),        \
      (fd, p, n, flags, to, size), (BYTES(p, n, READS), BYTES(to, size, READS)))                                       \
    X(ssize_t, sendmsg, (int fd, const struct msghdr *message, int flags), (fd, message, flags),                       \
      MESSAGE(message, READS))                                                                                         \
    X(int, sendmmsg, (int fd, struct mmsghdr *messages, unsigned n, int flags), (fd, messages, n, flags),              \
      MESSAGES(messages, n, READS))                                                                                    \
    X(size_t, fread, (void *p, size_t size, size_t n, FILE *file), (p, size, n, file), MANY(p, size, n, WRITES))       \
    X(size_t, fread_unlocked, (void *p, size_t size, size_t n, FILE *file), (p, size, n, file),                        \
      MANY(p, size, n, WRITES))                                                                                        \
    X(size_t, fwrite, (const void *p, size_t size, size_t n, FILE *file), (p, size, n, file), MANY(p, size, n, READS)) \
    X(size_t, fwrite_unlocked, (const void *p, size_t size, size_t n, FILE *file), (p, size, n, file),                 \
      MANY(p, size, n, READS))                                                                                         \
    X(char *, fgets, (char *p, int n, FILE *file), (p, n, file), LINE(p, n))                                           \
    X(char *, fgets_unlocked, (char *p, int n, FILE *file), (p, n, file), LINE(p, n))                                  \
    X(char *, getcwd, (char *p, size_t n), (p, n), BYTES(p, n, WRITES))                                                \
    X(ssize_t, readlink, (const char *path, char *p, size_t n), (path, p, n), BYTES(p, n, WRITES))                     \
    X(ssize_t, readlinkat, (int at, const char *path, char *p, size_t n), (at, path, p, n), BYTES(p, n, WRITES))       \
    X(ssize_t, getrandom, (void *p, size_t n, unsigned flags), (p, n, flags), BYTES(p, n, WRITES))                     \
    X(int, getentropy, (void *p, size_t n), (p, n), BYTES(p, n, WRITES))                                               \
    X(ssize_t, __read_chk, (int fd, void *p, size_t n, size_t room), (fd, p, n, room), BYTES(p, n, WRITES))            \
    X(ssize_t, __pread_chk, (int fd, void *p, size_t n, off_t at, size_t room), (fd, p, n, at, room),                  \
      BYTES(p, n, WRITES))                                                                                             \
    X(ssize_t, __pread64_chk, (int fd, void *p, size_t n, off64_t at, size_t room), (fd, p, n, at, room),              \
      BYTES(p, n, WRITES))                                                                                             \
    X(ssize_t, __recv_chk, (int fd, void *p, size_t n, size_t room, int flags), (fd, p, n, room, flags),               \
      BYTES(p, n, WRITES))                                                                                             \
    X(ssize_t, __recvfrom_chk,                                                                                         \
      (int fd, void *p, size_t n, size_t room, int flags, struct sockaddr *from, socklen_t *size),                     \
      (fd, p, n, room, flags, from, size), BYTES(p, n, WRITES))                                                        \
    X(size_t, __fread_chk, (void *p, size_t room, size_t size, size_t n, FILE *file), (p, room, size, n, file),        \
      MANY(p, size, n, WRITES))                                                                                        \
    X(size_t, __fread_unlocked_chk, (void *p, size_t room, size_t size, size_t n, FILE *file),                         \
      (p, room, size, n, file), MANY(p, size, n, WRITES))                                                              \
    X(char *, __fgets_chk, (char *p, size_t room, int n, FILE *file), (p, room, n, file), LINE(p, n))                  \
    X(char *, __fgets_unlocked_chk, (char *p, size_t room, int n, FILE *file), (p, room, n, file), LINE(p, n))         \
    X(char *, __getcwd_chk, (char *p, size_t n, size_t room), (p, n, room), BYTES(p, n, WRITES))                       \
    X(ssize_t, __readlink_chk, (const char *path, char *p, size_t n, size_t room), (path, p, n, room),                 \
      BYTES(p, n, WRITES))                                                                                             \
    X(ssize_t, __readlinkat_chk, (int at, const char *path, char *p, size_t n, size_t room), (at, path, p, n, room),   \
      BYTES(p, n, WRITES))

enum calls_index {
#define X(type, name, parameters, names, look) CALLS_##name,
    CALLS(X)
#undef X
        CALLS_COUNT,
};

/* --- the C library's own -------------------------------------------------------------------------------------- */

static struct next_function calls_next[CALLS_COUNT] = {
#define X(type, name, parameters, names, look) {#name, NULL},
    CALLS(X)
#undef X
};

static __attribute__((constructor)) void calls_start(void)
{
    next_look_up_all(calls_next, CALLS_COUNT);
}

#define X(type, name, parameters, names, look)                                                                         \
    EXPORT type(name) parameters;                                                                                      \
    EXPORT type(name) parameters                                                                                       \
    {                                                                                                                  \
        look;                                                                                                          \
        return ((type(*) parameters)(uintptr_t)next_find(&calls_next[CALLS_##name]))names;                             \
    }
CALLS(X)
#undef X
