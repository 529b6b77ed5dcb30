/*
 * Each function that hands a buffer to the kernel: with a length that fits the block it does what it should; with one
 * byte more, behind the block, or after it was freed, it is stopped where the verifier is at work.
 *
 * Usage: buffer_calls [verified]      status 0 if so
 */
#include "cases.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/uio.h>

enum { SIZE = 64, FILE_SIZE = 4096, ROUNDS = 300 };

extern ssize_t __read_chk(int fd, void *p, size_t n, size_t room);
extern ssize_t __pread_chk(int fd, void *p, size_t n, off_t at, size_t room);
extern ssize_t __pread64_chk(int fd, void *p, size_t n, off_t at, size_t room);
extern ssize_t __recv_chk(int fd, void *p, size_t n, size_t room, int flags);
extern ssize_t __recvfrom_chk(int fd, void *p, size_t n, size_t room, int flags, void *from, void *size);
extern size_t __fread_chk(void *p, size_t room, size_t size, size_t n, FILE *file);
extern size_t __fread_unlocked_chk(void *p, size_t room, size_t size, size_t n, FILE *file);
extern char *__fgets_chk(char *p, size_t room, int n, FILE *file);
extern char *__fgets_unlocked_chk(char *p, size_t room, int n, FILE *file);
extern char *__getcwd_chk(char *p, size_t n, size_t room);
extern ssize_t __readlink_chk(const char *path, char *p, size_t n, size_t room);
extern ssize_t __readlinkat_chk(int at, const char *path, char *p, size_t n, size_t room);

/* A file of 'x', and two ends of which the second has been sent something long. */
static int file, ends[2];
static FILE *stream, *sink;

static void open_all(void)
{
    static char text[FILE_SIZE];
    memset(text, 'x', sizeof(text));
    file = memfd_create("text", 0);
    must(write(file, text, sizeof(text)) == sizeof(text) && lseek(file, 0, SEEK_SET) == 0);
    must(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
    must(write(ends[0], text, sizeof(text)) == sizeof(text));
    stream = fopen("/dev/zero", "r");
    sink = fopen("/dev/null", "w");
    must(stream != NULL && sink != NULL && chdir("/") == 0);
}

/* --- what fills a buffer: true if it did ---------------------------------------------------------------------- */

#define VECTOR(p, n)                                                                                                   \
    (struct iovec[])                                                                                                   \
    {                                                                                                                  \
        {.iov_base = (p), .iov_len = 1}, {.iov_base = (p) + 1, .iov_len = (n)-1},                                      \
    }
#define MESSAGE(p, n)                                                                                                  \
    (struct msghdr[])                                                                                                  \
    {                                                                                                                  \
        {.msg_iov = VECTOR(p, n), .msg_iovlen = 2},                                                                    \
    }
#define MESSAGES(p, n)                                                                                                 \
    (struct mmsghdr[])                                                                                                 \
    {                                                                                                                  \
        {.msg_hdr = MESSAGE(p, n)[0]},                                                                                 \
    }

/* X(name, call, what it returns) */
#define FILLS(X)                                                                                                       \
    X(read, read(file, p, n), (ssize_t)n)                                                                              \
    X(pread, pread(file, p, n, 5), (ssize_t)n)                                                                         \
    X(pread64, pread64(file, p, n, 5), (ssize_t)n)                                                                     \
    X(readv, readv(file, VECTOR(p, n), 2), (ssize_t)n)                                                                 \
    X(preadv, preadv(file, VECTOR(p, n), 2, 5), (ssize_t)n)                                                            \
    X(preadv64, preadv64(file, VECTOR(p, n), 2, 5), (ssize_t)n)                                                        \
    X(preadv2, preadv2(file, VECTOR(p, n), 2, 5, 0), (ssize_t)n)                                                       \
    X(preadv64v2, preadv64v2(file, VECTOR(p, n), 2, 5, 0), (ssize_t)n)                                                 \
    X(recv, recv(ends[1], p, n, 0), (ssize_t)n)                                                                        \
    X(recvfrom, recvfrom(ends[1], p, n, 0, NULL, NULL), (ssize_t)n)                                                    \
    X(recvmsg, recvmsg(ends[1], MESSAGE(p, n), 0), (ssize_t)n)                                                         \
    X(recvmmsg, recvmmsg(ends[1], MESSAGES(p, n), 1, 0, NULL), 1)                                                      \
    X(fread, fread(p, 1, n, stream), n)                                                                                \
    X(fread_unlocked, (fread_unlocked)(p, n, 1, stream), 1)                                                            \
    X(fgets, fgets(p, (int)n, stream), p)                                                                              \
    X(fgets_unlocked, fgets_unlocked(p, (int)n, stream), p)                                                            \
    X(getcwd, getcwd(p, n), p)                                                                                         \
    X(readlink, readlink("/proc/self/exe", p, n) > 0, true)                                                            \
    X(readlinkat, readlinkat(AT_FDCWD, "/proc/self/exe", p, n) > 0, true)                                              \
    X(getrandom, getrandom(p, n, 0), (ssize_t)n)                                                                       \
    X(getentropy, getentropy(p, n), 0)                                                                                 \
    X(read_chk, __read_chk(file, p, n, n), (ssize_t)n)                                                                 \
    X(pread_chk, __pread_chk(file, p, n, 5, n), (ssize_t)n)                                                            \
    X(pread64_chk, __pread64_chk(file, p, n, 5, n), (ssize_t)n)                                                        \
    X(recv_chk, __recv_chk(ends[1], p, n, n, 0), (ssize_t)n)                                                           \
    X(recvfrom_chk, __recvfrom_chk(ends[1], p, n, n, 0, NULL, NULL), (ssize_t)n)                                       \
    X(fread_chk, __fread_chk(p, n, 1, n, stream), n)                                                                   \
    X(fread_unlocked_chk, __fread_unlocked_chk(p, n, n, 1, stream), 1)                                                 \
    X(fgets_chk, __fgets_chk(p, n, (int)n, stream), p)                                                                 \
    X(fgets_unlocked_chk, __fgets_unlocked_chk(p, n, (int)n, stream), p)                                               \
    X(getcwd_chk, __getcwd_chk(p, n, n), p)                                                                            \
    X(readlink_chk, __readlink_chk("/proc/self/exe", p, n, n) > 0, true)                                               \
    X(readlinkat_chk, __readlinkat_chk(AT_FDCWD, "/proc/self/exe", p, n, n) > 0, true)

#define SENDS(X)                                                                                                       \
    X(write, write(file, p, n), (ssize_t)n)                                                                            \
    X(pwrite, pwrite(file, p, n, 5), (ssize_t)n)                                                                       \
    X(pwrite64, pwrite64(file, p, n, 5), (ssize_t)n)                                                                   \
    X(writev, writev(file, VECTOR(p, n), 2), (ssize_t)n)                                                               \
    X(pwritev, pwritev(file, VECTOR(p, n), 2, 5), (ssize_t)n)                                                          \
    X(pwritev64, pwritev64(file, VECTOR(p, n), 2, 5), (ssize_t)n)                                                      \
    X(pwritev2, pwritev2(file, VECTOR(p, n), 2, 5, 0), (ssize_t)n)                                                     \
    X(pwritev64v2, pwritev64v2(file, VECTOR(p, n), 2, 5, 0), (ssize_t)n)                                               \
    X(send, send(ends[0], p, n, 0), (ssize_t)n)                                                                        \
    X(sendto, sendto(ends[0], p, n, 0, NULL, 0), (ssize_t)n)                                                           \
    X(sendmsg, sendmsg(ends[0], MESSAGE(p, n), 0), (ssize_t)n)                                                         \
    X(sendmmsg, sendmmsg(ends[0], MESSAGES(p, n), 1, 0), 1)                                                            \
    X(fwrite, fwrite(p, 1, n, sink), n)                                                                                \
    X(fwrite_unlocked, (fwrite_unlocked)(p, n, 1, sink), 1)

#define X(name, call, result)                                                                                          \
    static bool call_##name(char *p, size_t n)                                                                         \
    {                                                                                                                  \
        return (call) == (result);                                                                                     \
    }
FILLS(X)
SENDS(X)
#undef X

static const struct buffer_call {
    const char *name;
    bool (*call)(char *p, size_t n);
    bool fills;
} buffer_calls[] = {
#define X(name, call, result) {#name, call_##name, true},
    FILLS(X)
#undef X
#define X(name, call, result) {#name, call_##name, false},
        SENDS(X)
#undef X
};

/* --- in which ways -------------------------------------------------------------------------------------------- */

static const struct buffer_call *now;

/* Where some blocks of a site are in special pool and others are watched, one that was not among the first. */
static char *late_block(size_t size)
{
    char *p = NULL;
    for (int i = 0; i < ROUNDS; i++) {
        free(p);
        p = malloc(size);
    }
    return p;
}

/* What is sent, and what one call after the other leaves of it, is fresh for each. */
static char *block_of(size_t size)
{
    char *p = late_block(size);
    open_all();
    memset(p, 'y', size);
    return p;
}

static void with_what_fits(void)
{
    char *p = block_of(SIZE);
    must(now->call(p, SIZE));
    must(!now->fills || p[0] != 'y');
    must(now->call(p + 8, SIZE - 8));
    errno = 33;
    must(now->call(p, SIZE) && errno == 33);
    free(p);
}

static void with_what_is_no_block(void)
{
    static char here[SIZE];
    char there[SIZE];
    block_of(SIZE);
    must(now->call(here, SIZE) && now->call(there, SIZE));
}

static void with_one_byte_more(void)
{
    now->call(block_of(SIZE), SIZE + 1);
}

static void with_much_more(void)
{
    now->call(block_of(SIZE), 1000000000);
}

static void from_within(void)
{
    now->call(block_of(SIZE) + 10, SIZE);
}

static void behind_the_block(void)
{
    now->call(block_of(SIZE) + SIZE, 2);
}

static void after_it_was_freed(void)
{
    char *p = block_of(SIZE);
    free(p);
    now->call(p, SIZE);
}

static bool check(const char *way, void (*body)(void), int signal)
{
    int status = case_status(body);
    bool good = signal != 0 ? WIFSIGNALED(status) && WTERMSIG(status) == signal : status == 0;
    if (!good)
        printf("FAILED %s %s (status %#x)\n", now->name, way, (unsigned)status);
    return good;
}

static bool check_stops(void)
{
    return check("with one byte more", with_one_byte_more, SIGABRT) & check("with much more", with_much_more, SIGABRT) &
           check("from within", from_within, SIGABRT) & check("behind the block", behind_the_block, SIGABRT) &
           check("after it was freed", after_it_was_freed, SIGABRT);
}

int main(int argc, char **argv)
{
    bool good = true, is_verified = argc > 1 && strcmp(argv[1], "verified") == 0;
    for (now = buffer_calls; now < buffer_calls + sizeof(buffer_calls) / sizeof(buffer_calls[0]); now++) {
        good &= check("with what fits", with_what_fits, 0);
        good &= check("with what is no block", with_what_is_no_block, 0);
        if (is_verified)
            good &= check_stops();
    }
    return good ? 0 : 1;
}
