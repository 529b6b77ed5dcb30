/*
 * LD_PRELOAD module that records a program's allocation calls into the file that BENCH_TRACE names.
 *
 * Calls of the first thread are recorded, in the first process only: children made by fork and programs that are
 * started later run on as they are.  All memory comes from the C library as before; the recorder's own is mapped.
 * The format is in bench/programs/trace.h.
 */
#include "trace.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t each);
extern void *__libc_realloc(void *old, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);
extern void __libc_free(void *block);

/* Live blocks by address: open addressing, at most half full. */
#define MAP_BITS 23
#define MAP_SIZE ((size_t)1 << MAP_BITS)
#define MAP_LIVE_MAX (MAP_SIZE / 2)

struct map_entry {
    uintptr_t address; /* 0: none */
    uint32_t id;
    uint32_t size; /* saturates; for the peak alone */
};

struct recorder {
    int fd;
    pid_t pid;
    struct trace_header header;
    struct trace_ids ids;
    struct map_entry *map;
    uint64_t live_blocks;
    uint64_t live_bytes;
    size_t filled;
    unsigned char buffer[1 << 16];
};

static struct recorder recorder = {.fd = -1};

/* Set in the first thread while recording.  The module is there from the start, so its place is fixed. */
static __thread int recorder_is_on __attribute__((tls_model("initial-exec")));

/* --- the file ------------------------------------------------------------------------------------------------- */

static void recorder_stop(void)
{
    recorder_is_on = 0;
}

static void recorder_flush(void)
{
    size_t done = 0;
    while (done < recorder.filled) {
        ssize_t written = write(recorder.fd, recorder.buffer + done, recorder.filled - done);
        if (written <= 0) {
            recorder_stop();
            return;
        }
        done += (size_t)written;
    }
    recorder.filled = 0;
}

static void recorder_number(uint64_t number)
{
    do {
        unsigned char more = number > 0x7f ? 0x80 : 0;
        recorder.buffer[recorder.filled++] = (unsigned char)(number & 0x7f) | more;
        number >>= 7;
    } while (number != 0);
}

static void recorder_step(enum trace_kind kind, uint64_t operand)
{
    if (recorder.filled > sizeof(recorder.buffer) - 32)
        recorder_flush();
    recorder_number(operand << TRACE_KIND_BITS | kind);
    recorder.header.steps++;
}

/* --- live blocks ---------------------------------------------------------------------------------------------- */

static size_t map_home(uintptr_t address)
{
    return (size_t)(address * UINT64_C(0x9e3779b97f4a7c15) >> (64 - MAP_BITS));
}

static struct map_entry *map_find(uintptr_t address)
{
    size_t at = map_home(address);
    while (recorder.map[at].address != 0 && recorder.map[at].address != address)
        at = (at + 1) % MAP_SIZE;
    return &recorder.map[at];
}

/* Moves up what was pushed down past the gap, so that no marks of deleted entries are needed. */
static void map_remove(struct map_entry *entry)
{
    size_t gap = (size_t)(entry - recorder.map);
    for (size_t at = (gap + 1) % MAP_SIZE; recorder.map[at].address != 0; at = (at + 1) % MAP_SIZE) {
        size_t home = map_home(recorder.map[at].address);
        if ((at - home) % MAP_SIZE >= (at - gap) % MAP_SIZE) {
            recorder.map[gap] = recorder.map[at];
            gap = at;
        }
    }
    recorder.map[gap].address = 0;
}

static void live_add(const void *block, uint32_t id, size_t size)
{
    struct map_entry *entry = map_find((uintptr_t)block);
    *entry = (struct map_entry){(uintptr_t)block, id, size < UINT32_MAX ? (uint32_t)size : UINT32_MAX};
    recorder.live_blocks++;
    recorder.live_bytes += entry->size;
    if (recorder.live_bytes > recorder.header.peak_bytes)
        recorder.header.peak_bytes = recorder.live_bytes;
    if (recorder.live_blocks == MAP_LIVE_MAX)
        recorder_stop();
}

static void live_remove(struct map_entry *entry)
{
    recorder.live_blocks--;
    recorder.live_bytes -= entry->size;
    map_remove(entry);
}

/* --- calls ---------------------------------------------------------------------------------------------------- */

static void *note_alloc(enum trace_kind kind, void *block, size_t size, size_t alignment)
{
    if (!recorder_is_on || block == NULL)
        return block;
    recorder_step(kind, size);
    if (kind == TRACE_ALIGNED)
        recorder_number(alignment);
    uint32_t id = trace_ids_get(&recorder.ids);
    if (id >= recorder.header.ids)
        recorder.header.ids = id + 1;
    live_add(block, id, size);
    return block;
}

/* Before the call: afterwards the address may be another thread's.  A block from before the recording is not known. */
static void note_free(const void *block)
{
    if (!recorder_is_on || block == NULL)
        return;
    struct map_entry *entry = map_find((uintptr_t)block);
    if (entry->address == 0)
        return;
    recorder_step(TRACE_FREE, entry->id);
    trace_ids_put(&recorder.ids, entry->id);
    live_remove(entry);
}

static void *note_realloc(uintptr_t old, void *block, size_t size)
{
    if (!recorder_is_on || block == NULL)
        return block;
    struct map_entry *entry = map_find(old);
    if (entry->address == 0)
        return note_alloc(TRACE_MALLOC, block, size, 0);
    uint32_t id = entry->id;
    recorder_step(TRACE_REALLOC, id);
    recorder_number(size);
    live_remove(entry);
    live_add(block, id, size);
    return block;
}

EXPORT void *malloc(size_t size)
{
    return note_alloc(TRACE_MALLOC, __libc_malloc(size), size, 0);
}

EXPORT void *calloc(size_t count, size_t each)
{
    return note_alloc(TRACE_CALLOC, __libc_calloc(count, each), count * each, 0);
}

EXPORT void *realloc(void *old, size_t size)
{
    if (old == NULL)
        return note_alloc(TRACE_MALLOC, __libc_malloc(size), size, 0);
    if (size == 0)
        note_free(old);
    return note_realloc((uintptr_t)old, __libc_realloc(old, size), size);
}

EXPORT void free(void *block)
{
    note_free(block);
    __libc_free(block);
}

EXPORT void *aligned_alloc(size_t alignment, size_t size)
{
    return note_alloc(TRACE_ALIGNED, __libc_memalign(alignment, size), size, alignment);
}

EXPORT void *memalign(size_t alignment, size_t size);

EXPORT void *memalign(size_t alignment, size_t size)
{
    return note_alloc(TRACE_ALIGNED, __libc_memalign(alignment, size), size, alignment);
}

EXPORT int posix_memalign(void **out, size_t alignment, size_t size)
{
    void *block = __libc_memalign(alignment, size);
    if (block == NULL)
        return ENOMEM;
    *out = note_alloc(TRACE_ALIGNED, block, size, alignment);
    return 0;
}

/* --- start and end -------------------------------------------------------------------------------------------- */

static void *recorder_table(size_t size)
{
    void *table = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return table != MAP_FAILED ? table : NULL;
}

static __attribute__((constructor)) void recorder_start(void)
{
    const char *path = getenv("BENCH_TRACE");
    if (path == NULL)
        return;
    recorder.fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    recorder.map = recorder_table(MAP_SIZE * sizeof(*recorder.map));
    recorder.ids.free = recorder_table(MAP_SIZE * sizeof(*recorder.ids.free));
    unsetenv("BENCH_TRACE");
    if (recorder.fd < 0 || recorder.map == NULL || recorder.ids.free == NULL ||
        pwrite(recorder.fd, &recorder.header, sizeof(recorder.header), 0) != (ssize_t)sizeof(recorder.header) ||
        lseek(recorder.fd, sizeof(recorder.header), SEEK_SET) < 0)
        return;
    pthread_atfork(NULL, NULL, recorder_stop);
    recorder.pid = getpid();
    recorder_is_on = 1;
}

/* The header is valid from here on only: a program that was killed leaves no trace that could be taken for whole. */
static __attribute__((destructor)) void recorder_end(void)
{
    if (recorder.fd < 0 || recorder.pid != getpid())
        return;
    recorder_flush();
    recorder_stop();
    recorder.header.magic = TRACE_MAGIC;
    if (pwrite(recorder.fd, &recorder.header, sizeof(recorder.header), 0) != (ssize_t)sizeof(recorder.header))
        _exit(1);
}
