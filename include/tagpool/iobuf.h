/*
 * I/O buffers: a pool of locked, page-aligned buffers of one size and tag, made once and registered once with io_uring,
 * for files that are opened with O_DIRECT.
 *
 * A large request is split into pieces of a buffer each.  They are submitted together, and joined again to one result.
 * Where io_uring cannot be used (no liburing.so.2, forbidden, RLIMIT_MEMLOCK of the user spent on other rings), and in
 * a child made by fork, preadv and pwritev do the same.
 *
 * All functions but create and destroy are thread-safe for one pool; none is async-signal-safe or a cancellation point.
 * Requests of several threads on one pool take turns; a thread that must not wait for others makes a pool of its own.
 * get and put never wait.  A pool with io_uring holds one file descriptor, which is closed on exec.
 *
 * Follows the advice of the Windows driver documents for I/O buffers: fixed sizes, large requests split
 * (IoBuildPartialMdl), described by a SCATTER_GATHER_LIST, nonpaged pool that is mapped once, and no copy in the
 * system's cache (FILE_FLAG_NO_BUFFERING, whose rules of alignment are those of O_DIRECT).
 */
#ifndef TAGPOOL_IOBUF_H
#define TAGPOOL_IOBUF_H

#include <tagpool/tagpool.h>

#include <sys/types.h>
#include <sys/uio.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TAGPOOL_IOBUF_ALIGNMENT 4096u
#define TAGPOOL_IOBUF_COUNT_MAX 1024u
#define TAGPOOL_IOBUF_SIZE_MAX ((size_t)1 << 30)

typedef struct tagpool_iobuf tagpool_iobuf_t;

typedef struct tagpool_iobuf_options {
    tagpool_tag_t tag;  /* all buffers are nonpaged blocks of this tag */
    size_t buffer_size; /* bytes: a multiple of 4096, up to 1 GiB; powers of two waste nothing */
    unsigned count;     /* 1 to 1024 */
} tagpool_iobuf_options_t;

/*
 * A request's pieces in the order of the file; each lies within one buffer.  The array is the caller's.  An iovec is an
 * element of SCATTER_GATHER_LIST: address and length.
 */
typedef struct tagpool_iobuf_list {
    struct iovec *pieces;
    unsigned room;  /* elements of the array */
    unsigned count; /* of them in use */
} tagpool_iobuf_list_t;

typedef struct tagpool_iobuf_stats {
    unsigned count;
    unsigned out;    /* buffers that callers hold, or requests under way */
    int uring_error; /* 0: io_uring is in use; else why it is not: ELIBACC (no liburing.so.2), ENOSYS, EPERM, ENOMEM,
                        ..., ECHILD in a forked child */
    uint64_t requests;
    uint64_t pieces; /* that these were split into */
    uint64_t calls;  /* system calls that moved data: io_uring_enter, preadv, pwritev */
    uint64_t bytes_read;
    uint64_t bytes_written;
} tagpool_iobuf_stats_t;

/*
 * Make a pool.  NULL with errno EINVAL (tag, size or count out of range), or ENOMEM: memory, or the nonpaged pool, is
 * exhausted.  That is RLIMIT_MEMLOCK bytes for the process, often 8 MiB in all.  Registered buffers and their ring
 * count against the same limit once more, for the user: a pool that fills it to the last page goes without io_uring.
 */
TAGPOOL_API tagpool_iobuf_t *tagpool_iobuf_create(const tagpool_iobuf_options_t *options);

/*
 * End a pool, with no request under way.  Returns the number of buffers that callers still hold; these are theirs, to
 * be freed by tagpool_free.  NULL does nothing.
 */
TAGPOOL_API size_t tagpool_iobuf_destroy(tagpool_iobuf_t *pool);

/* A free buffer, the one put back last; contents undefined.  NULL with errno ENOBUFS when none is free. */
TAGPOOL_API void *tagpool_iobuf_get(tagpool_iobuf_t *pool);

/* Put a buffer back; NULL does nothing.  0, or -1 with errno EINVAL when it is not a buffer of this pool that is out.
 */
TAGPOOL_API int tagpool_iobuf_put(tagpool_iobuf_t *pool, void *buffer);

/*
 * Take buffers for `size` bytes: whole ones, and what is left in the last piece.  All or none.
 *
 * 0, or -1 with errno EMSGSIZE when the pool or the list's array can never hold that much, or ENOBUFS when too few
 * buffers are free now.
 */
TAGPOOL_API int tagpool_iobuf_get_list(tagpool_iobuf_t *pool, size_t size, tagpool_iobuf_list_t *list);

/*
 * Put the buffers back in which the pieces begin, and leave the list empty.  0, or -1 with errno EINVAL when one of
 * them was not a piece's at the beginning of a buffer that is out; the others went back.
 */
TAGPOOL_API int tagpool_iobuf_put_list(tagpool_iobuf_t *pool, tagpool_iobuf_list_t *list);

/*
 * Read from a file, beginning at `offset`, into the pieces of a list, or write them; no byte is copied.  The file must
 * be one that can seek; its own position neither matters nor moves.  With O_DIRECT, offset, addresses and lengths must
 * be multiples of the device's logical block (4096 always is); a length may go beyond the end of a file that is read.
 *
 * Returns the bytes moved, counted from the beginning without a gap.  When these are fewer than asked, errno says why:
 * 0 for the end of the file, else the error that stopped the request; bytes of a write that come later in the file may
 * have been written all the same.  -1 with errno when an error stopped it before the first byte: what preadv and
 * pwritev say, ESPIPE where the file cannot seek, EINVAL also when a piece is not within a buffer that is out, the list
 * has more pieces than the pool buffers, or the request passes the largest offset.
 */
TAGPOOL_API ssize_t tagpool_iobuf_read_list(tagpool_iobuf_t *pool, int fd, const tagpool_iobuf_list_t *list,
                                            uint64_t offset);
TAGPOOL_API ssize_t tagpool_iobuf_write_list(tagpool_iobuf_t *pool, int fd, const tagpool_iobuf_list_t *list,
                                             uint64_t offset);

/*
 * The same from and to plain memory of any alignment, by way of the pool's free buffers: copied once, in rounds when
 * `size` is more than they hold.  A read may have any size, with O_DIRECT too; a write may not (its last piece fails
 * with EINVAL).  Errno ENOBUFS, as an error that stopped the request, when callers hold all buffers.
 */
TAGPOOL_API ssize_t tagpool_iobuf_read(tagpool_iobuf_t *pool, int fd, void *to, size_t size, uint64_t offset);
TAGPOOL_API ssize_t tagpool_iobuf_write(tagpool_iobuf_t *pool, int fd, const void *from, size_t size, uint64_t offset);

/* Exact when no other thread uses the pool meanwhile.  A forked child goes on counting from the parent's numbers. */
TAGPOOL_API void tagpool_iobuf_stats(const tagpool_iobuf_t *pool, tagpool_iobuf_stats_t *stats);

#ifdef __cplusplus
}
#endif

#endif
