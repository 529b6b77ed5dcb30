/*
 * Tagged pools for programs: memory whose every block carries a four-character tag, with exact accounts by tag that
 * `tagpool top` reads while the program runs.
 *
 * All functions are thread-safe and none is async-signal-safe, unless it says otherwise.  A block may be freed by
 * any thread.  Under `tagpool run` the same engine serves malloc too, and either face may free the other's blocks.
 * In a child made by fork, blocks of the parent may be used and freed, and the accounts start with what is live.
 *
 * Requests below one OS page (4096 bytes) never straddle an OS page; from one OS page on they begin on one and are
 * rounded up to whole pages.  All blocks are aligned to 16 bytes.  Rules follow the pool routines of the Windows
 * Driver Kit (ExAllocatePoolWithTag and kin) where they name the same thing.
 */
#ifndef TAGPOOL_H
#define TAGPOOL_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TAGPOOL_VERSION_MAJOR 0
#define TAGPOOL_VERSION_MINOR 1

#ifndef TAGPOOL_API
#define TAGPOOL_API __attribute__((visibility("default")))
#endif

/* Four characters, each 0x20 to 0x7e, held in memory order: TAGPOOL_TAG('C','o','n','n') shows as "Conn". */
typedef uint32_t tagpool_tag_t;
#define TAGPOOL_TAG(a, b, c, d)                                                                                        \
    ((tagpool_tag_t)(unsigned char)(a) | (tagpool_tag_t)(unsigned char)(b) << 8 |                                      \
     (tagpool_tag_t)(unsigned char)(c) << 16 | (tagpool_tag_t)(unsigned char)(d) << 24)

/* Kinds of pool.  The values are those of Windows' POOL_TYPE & 1. */
typedef enum tagpool_kind {
    TAGPOOL_NONPAGED = 0, /* locked memory, never swapped; RLIMIT_MEMLOCK is its size */
    TAGPOOL_PAGED = 1     /* ordinary memory */
} tagpool_kind_t;

/* A tag and kind looked up once, for hot code.  NULL is no handle. */
typedef struct tagpool_handle *tagpool_handle_t;

/*
 * Allocate size bytes of the pool `kind` under `tag`; contents undefined.  A size of 0 gives the smallest block.
 *
 * Returns NULL with errno ENOMEM when memory, or the nonpaged pool, is exhausted; NULL with errno EINVAL when the
 * kind is unknown or the tag holds a character outside 0x20..0x7e.  Behaviour: ExAllocatePoolWithTag.
 */
TAGPOOL_API void *tagpool_alloc(tagpool_kind_t kind, size_t size, tagpool_tag_t tag) __attribute__((malloc));

/* As tagpool_alloc, and every byte of the block up to tagpool_size is zero. */
TAGPOOL_API void *tagpool_zalloc(tagpool_kind_t kind, size_t size, tagpool_tag_t tag) __attribute__((malloc));

/*
 * As tagpool_alloc, at an address that is a multiple of `alignment`, a power of two (else NULL with errno EINVAL).
 * The block is freed as any other.
 */
TAGPOOL_API void *tagpool_alloc_aligned(tagpool_kind_t kind, size_t alignment, size_t size, tagpool_tag_t tag)
    __attribute__((malloc));

/*
 * What else is asked of an allocation.  The priorities say when it may fail: see tagpool/limit.h.  LowPoolPriority,
 * NormalPoolPriority and HighPoolPriority of the WDK, and POOL_FLAG_USE_QUOTA.
 */
typedef enum tagpool_flags {
    TAGPOOL_NORMAL = 0,
    TAGPOOL_ZERO = 1,   /* every byte of the block is zero */
    TAGPOOL_LOW = 2,    /* fail early: somebody can do without */
    TAGPOOL_HIGH = 4,   /* fail last: from the reserve, if need be */
    TAGPOOL_CHARGE = 8  /* charge the block to the thread's quota account, if it has one: see tagpool/quota.h */
} tagpool_flags_t;

/*
 * As tagpool_alloc, with flags or-ed together; NULL also with errno EDQUOT, and EINVAL for bits unknown and for LOW
 * with HIGH.
 */
TAGPOOL_API void *tagpool_alloc_flags(tagpool_kind_t kind, size_t size, tagpool_tag_t tag, unsigned flags)
    __attribute__((malloc));

/*
 * Make the block at least `size` bytes long, moving it if need be; the bytes up to the smaller size are kept.  It
 * keeps its tag and kind, not its alignment beyond 16.  block must not be NULL, for there would be no tag.
 *
 * Returns NULL with errno ENOMEM, and leaves the block as it was, when memory is exhausted; NULL with errno EINVAL
 * when block is NULL.
 */
TAGPOOL_API void *tagpool_realloc(void *block, size_t size);

/*
 * Free a block.  NULL does nothing.  Keeps errno.
 *
 * A pointer that is not a live block ends the program by SIGABRT after a stop report where it is noticed
 * (0xC2 BAD_POOL_CALLER; see tagpool-verifier(7)).  Behaviour: ExFreePool.
 */
TAGPOOL_API void tagpool_free(void *block);

/* As tagpool_free, and stops with 0xC2/0x0A when the block's tag is not `tag`.  Behaviour: ExFreePoolWithTag. */
TAGPOOL_API void tagpool_free_tag(void *block, tagpool_tag_t tag);

/* Bytes that the caller may use in a live block: at least what was asked for.  0 for NULL. */
TAGPOOL_API size_t tagpool_size(const void *block);

/* The tag of a live block; 0 when the pointer is NULL or not a block of ours. */
TAGPOOL_API tagpool_tag_t tagpool_tag_of(const void *block);

/*
 * Look a tag and kind up once; the handle is good for the life of the process, in forked children too.
 *
 * Returns NULL with errno EINVAL as tagpool_alloc does.  Never fails otherwise: when the table of tags is full the
 * handle counts under the tag "????".
 */
TAGPOOL_API tagpool_handle_t tagpool_open(tagpool_kind_t kind, tagpool_tag_t tag);

/*
 * As tagpool_alloc and tagpool_zalloc, with kind and tag by handle.  The handle must come from tagpool_open; NULL,
 * which that returns when it fails, gives NULL with errno EINVAL.
 */
TAGPOOL_API void *tagpool_handle_alloc(tagpool_handle_t handle, size_t size) __attribute__((malloc));
TAGPOOL_API void *tagpool_handle_zalloc(tagpool_handle_t handle, size_t size) __attribute__((malloc));

/* As tagpool_alloc_flags, with kind and tag by handle. */
TAGPOOL_API void *tagpool_handle_alloc_flags(tagpool_handle_t handle, size_t size, unsigned flags)
    __attribute__((malloc));

/* The accounts of one tag and kind.  Bytes are block bytes (what tagpool_size says), not requested ones. */
struct tagpool_stats {
    uint64_t allocs;     /* successful allocating calls; a realloc that moved counts one alloc and one free */
    uint64_t frees;      /* calls that freed a block */
    uint64_t bytes;      /* in live blocks now */
    uint64_t peak_bytes; /* highest seen; never less than bytes */
};

/*
 * Read the accounts of one tag and kind.  Exact when no other thread allocates or frees under it meanwhile; else each
 * number lies between its values at the start and at the end of the call.
 *
 * Returns 0, or -1 with errno ENOENT when nothing was ever allocated under that tag and kind.
 */
TAGPOOL_API int tagpool_stats(tagpool_kind_t kind, tagpool_tag_t tag, struct tagpool_stats *stats);

#ifdef __cplusplus
}
#endif

#endif
