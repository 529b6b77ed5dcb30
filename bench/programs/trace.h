/*
 * Recorded allocation calls, in a file that bench/trace/recorder.c writes and two programs read.
 *
 *   | header | step | step | ...
 *   step: (operand << 3 | kind), then a second number for some kinds; numbers are little-endian in groups of 7 bits,
 *         bit 7 set when another group follows
 *
 *   kind            operand       second number
 *   TRACE_MALLOC    size
 *   TRACE_CALLOC    size
 *   TRACE_ALIGNED   size          alignment
 *   TRACE_REALLOC   id            size
 *   TRACE_FREE      id
 *
 * T1  A new block gets the id that was given back last, else the next unused one: the file need not hold it.
 * T2  A realloc keeps the id.  Every id of a TRACE_REALLOC or TRACE_FREE is in use.
 */
#ifndef TRACE_H
#define TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TRACE_MAGIC UINT64_C(0x3145434152545054) /* "TPTRACE1" */
#define TRACE_KIND_BITS 3

enum trace_kind { TRACE_MALLOC, TRACE_CALLOC, TRACE_ALIGNED, TRACE_REALLOC, TRACE_FREE };

struct trace_header {
    uint64_t magic;
    uint64_t steps;
    uint64_t ids;        /* one past the highest in use */
    uint64_t peak_bytes; /* highest sum of sizes of live blocks */
};

struct trace_step {
    enum trace_kind kind;
    uint32_t id;
    size_t size;
    size_t alignment;
};

/* The ids that are not in use, last given back first (T1). */
struct trace_ids {
    uint32_t *free;
    uint32_t free_count;
    uint32_t next;
};

static inline uint32_t trace_ids_get(struct trace_ids *ids)
{
    return ids->free_count > 0 ? ids->free[--ids->free_count] : ids->next++;
}

static inline void trace_ids_put(struct trace_ids *ids, uint32_t id)
{
    ids->free[ids->free_count++] = id;
}

/* Reads in small pieces, so that the trace itself does not show in the process's memory. */
struct trace {
    struct trace_header header;
    struct trace_ids ids;
    uint64_t steps_read;
    int fd;
    size_t at;
    size_t filled;
    unsigned char buffer[1 << 16];
};

/* Ends the program with a sentence when the file is no trace.  The trace's own memory is not malloc's. */
void trace_open(struct trace *trace, const char *path);
void trace_rewind(struct trace *trace);

/* False at the end.  An id that it gives back is in use for the last time in this step. */
bool trace_next(struct trace *trace, struct trace_step *step);

/* Memory for tables beside the allocator that is measured. */
void *trace_table(size_t size);

#endif
