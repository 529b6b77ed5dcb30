#include "trace.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static __attribute__((noreturn)) void trace_fail(const char *what)
{
    fprintf(stderr, "trace: %s\n", what);
    exit(1);
}

void *trace_table(size_t size)
{
    void *table = mmap(NULL, size + 1, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (table == MAP_FAILED)
        trace_fail("no memory for a table");
    return table;
}

void trace_open(struct trace *trace, const char *path)
{
    trace->fd = open(path, O_RDONLY | O_CLOEXEC);
    if (trace->fd < 0 || read(trace->fd, &trace->header, sizeof(trace->header)) != (ssize_t)sizeof(trace->header) ||
        trace->header.magic != TRACE_MAGIC || trace->header.ids > UINT32_MAX)
        trace_fail("cannot read it");
    trace->ids.free = trace_table(trace->header.ids * sizeof(*trace->ids.free));
    trace_rewind(trace);
}

void trace_rewind(struct trace *trace)
{
    if (lseek(trace->fd, sizeof(trace->header), SEEK_SET) < 0)
        trace_fail("cannot go back to its beginning");
    trace->ids.free_count = 0;
    trace->ids.next = 0;
    trace->steps_read = 0;
    trace->at = trace->filled = 0;
}

static void trace_fill(struct trace *trace)
{
    ssize_t got = read(trace->fd, trace->buffer, sizeof(trace->buffer));
    if (got <= 0)
        trace_fail("it ends too early");
    trace->filled = (size_t)got;
    trace->at = 0;
}

static uint64_t trace_number(struct trace *trace)
{
    uint64_t number = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        if (trace->at == trace->filled)
            trace_fill(trace);
        unsigned char byte = trace->buffer[trace->at++];
        number |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            break;
    }
    return number;
}

static void trace_known_id(struct trace *trace, struct trace_step *step, uint64_t id)
{
    if (id >= trace->ids.next)
        trace_fail("a step names a block that is not there");
    step->id = (uint32_t)id;
    if (step->kind == TRACE_REALLOC)
        step->size = trace_number(trace);
    else
        trace_ids_put(&trace->ids, step->id);
}

bool trace_next(struct trace *trace, struct trace_step *step)
{
    if (trace->steps_read == trace->header.steps)
        return false;
    trace->steps_read++;
    uint64_t number = trace_number(trace);
    step->kind = (enum trace_kind)(number & ((1 << TRACE_KIND_BITS) - 1));
    if (step->kind >= TRACE_REALLOC) {
        trace_known_id(trace, step, number >> TRACE_KIND_BITS);
        return true;
    }
    step->size = number >> TRACE_KIND_BITS;
    step->alignment = step->kind == TRACE_ALIGNED ? trace_number(trace) : 0;
    step->id = trace_ids_get(&trace->ids);
    if (step->id >= trace->header.ids)
        trace_fail("it has more blocks than it says");
    return true;
}
