/*
 * Common buffers: memory that a program and a device use at the same time, with the address that the device needs.
 *
 * A common buffer is whole OS pages of the nonpaged pool: locked, counted under its tag, bounded by RLIMIT_MEMLOCK.
 * Its bus address is of one of two sorts:
 *
 *   physical  what /proc/self/pagemap says, which it says to CAP_SYS_ADMIN alone.  mlock keeps memory in RAM but does
 *             not pin it: the kernel may move a page to another frame (compaction, migration, a write after fork), and
 *             a device that goes on with the old address then damages somebody else's memory.  flush says when it
 *             happened.
 *   virtual   a number from 0x1000 to 2^48 - 1 that no other common buffer of the process has: for an IOMMU that the
 *             program sets up with it (VFIO_IOMMU_MAP_DMA, which pins the memory), or a device that is a program.
 *
 * Memory is cached; on x86-64 a device sees what was stored, so there are no caches to flush.
 *
 * Different buffers may be used by any threads at once.  flush and free of one buffer are for one thread at a time, and
 * no other thread may ask about it meanwhile.  Nothing here is async-signal-safe.
 *
 * A child made by fork has a copy, which the device does not see and which is not locked: addresses mean nothing there.
 * After a fork the first to write to a page gets a new one, be it the parent: who forks with physical addresses in use
 * flushes, or better uses vfork or posix_spawn.
 *
 * Names and rules follow the WDK's AllocateCommonBuffer, AllocateCommonBufferWithBounds, FreeCommonBuffer and
 * FlushAdapterBuffers.
 */
#ifndef TAGPOOL_COMMON_BUFFER_H
#define TAGPOOL_COMMON_BUFFER_H

#include <tagpool/tagpool.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tagpool_common_buffer tagpool_common_buffer_t;

/* The sorts of bus address. */
typedef enum tagpool_bus {
    TAGPOOL_BUS_ANY = 0, /* as an option: physical where the system tells it, else virtual */
    TAGPOOL_BUS_PHYSICAL = 1,
    TAGPOOL_BUS_VIRTUAL = 2
} tagpool_bus_t;

/* A flag: memory that is not known to be physically contiguous is refused. */
#define TAGPOOL_COMMON_BUFFER_CONTIGUOUS 1u

/* What a buffer is made of.  Zeros are right for all but tag and size. */
typedef struct tagpool_common_buffer_options {
    tagpool_tag_t tag;
    size_t size;              /* bytes, from 1; whole OS pages are consumed */
    uint64_t minimum_address; /* lowest bus address */
    uint64_t maximum_address; /* highest bus address that any byte of its pages may have; 0: no bound */
    tagpool_bus_t bus;
    unsigned flags;
} tagpool_common_buffer_options_t;

/* Consecutive bus addresses. */
typedef struct tagpool_bus_run {
    uint64_t address;
    uint64_t length; /* bytes */
} tagpool_bus_run_t;

/*
 * Allocate a buffer of `size` bytes, contents undefined.  It begins on an OS page and has as many as it needs, so one
 * page asked is one page; who needs several one-page buffers calls once for each.  The bytes between its size and the
 * end of its last page are not the caller's: they hold a pattern, which flush and free look at.
 *
 * Buffers of more than one page up to 2 MiB are physically contiguous where the system gives a huge page (Linux 6.1);
 * longer ones consist of such pieces.  A huge page is made for each piece, and what the buffer does not need of it goes
 * back when the system needs memory; its pages may move one by one from then on.
 *
 * Bounds of physical addresses are kept by trying a few times, so a bound that most of the machine's memory lies beyond
 * will hardly be met.  What was tried in vain shows in the tag's allocs, frees and peak.
 *
 * Returns NULL with errno EINVAL (tag, size 0, unknown bus or flag, minimum above maximum), ENOMEM (memory, or the
 * nonpaged pool, is exhausted), ERANGE (no address within the bounds), ENOBUFS (no contiguous memory, and the flag
 * wants it), EPERM (the system does not tell physical addresses, and they were asked for), or EMFILE, ENFILE
 * (/proc/self/pagemap cannot be opened).  Behaviour: AllocateCommonBuffer, AllocateCommonBufferWithBounds.
 */
TAGPOOL_API tagpool_common_buffer_t *tagpool_common_buffer_alloc(const tagpool_common_buffer_options_t *options);

/*
 * Where the program finds the buffer: the beginning of an OS page.  This and the other functions that take a buffer
 * stop with 0xE6/0x16 (see tagpool-verifier(7)) when it is not live.
 */
TAGPOOL_API void *tagpool_common_buffer_address(const tagpool_common_buffer_t *buffer);

/* Where the device finds its first byte, and of which sort that is: never TAGPOOL_BUS_ANY. */
TAGPOOL_API uint64_t tagpool_common_buffer_bus_address(const tagpool_common_buffer_t *buffer);
TAGPOOL_API tagpool_bus_t tagpool_common_buffer_bus(const tagpool_common_buffer_t *buffer);

/*
 * 1 when its memory is known to be physically contiguous, else 0.  A buffer with a virtual address is contiguous for
 * the device all the same.
 */
TAGPOOL_API int tagpool_common_buffer_is_contiguous(const tagpool_common_buffer_t *buffer);

/*
 * The scatter/gather list: the runs of consecutive bus addresses that make up the buffer, in order; their lengths add
 * up to its size.  Fills in the first `count` of them (runs may be NULL when that is 0), and returns how many there
 * are: 1 for virtual addresses.  Behaviour: GetScatterGatherList.
 */
TAGPOOL_API size_t tagpool_common_buffer_runs(const tagpool_common_buffer_t *buffer, tagpool_bus_run_t *runs,
                                              size_t count);

/*
 * After a transfer: look whether anything was written behind the buffer's size (a stop, 0xE6/0x0F), and whether its
 * memory is where it was.
 *
 * Returns 0; or 1 when pages have moved to other physical addresses, which are then the buffer's; or -1 with errno
 * EPERM (the system does not tell the addresses any more), EMFILE or ENFILE, and then some may be out of date.
 * Behaviour: FlushAdapterBuffers.
 */
TAGPOOL_API int tagpool_common_buffer_flush(tagpool_common_buffer_t *buffer);

/*
 * Give a buffer back; the device must be done with it.  NULL does nothing.  Keeps errno.
 *
 * Stops with 0xE6/0x03 when it is not live, and with 0xE6/0x0F as flush does.  The handle stands for the four values
 * that have to be those of the allocation on Windows.  Behaviour: FreeCommonBuffer.
 */
TAGPOOL_API void tagpool_common_buffer_free(tagpool_common_buffer_t *buffer);

#ifdef __cplusplus
}
#endif

#endif
