#include "findings.h"
#include "memory.h"
#include "stop_json.h"
#include "stop_text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* ---- telling ---- */

/* Stderr is shared with the program: a report goes out in one piece, as far as that can be had. */
static void findings_write(const char *text, size_t size)
{
    while (size > 0) {
        ssize_t written = write(STDERR_FILENO, text, size);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return; /* nobody reads it: the status says enough */
        text += written;
        size -= (size_t)written;
    }
}

static void findings_print(const struct findings *findings, FILE *out, const struct reportfile_record *record)
{
    if (findings->as_json)
        stop_json_record(out, record);
    else if (reportfile_has(record, TAGPOOL_REPORT_STOP))
        stop_text_stop(out, record, findings->is_color);
    else if (reportfile_has(record, TAGPOOL_REPORT_LEAK))
        stop_text_leak(out, record, findings->is_color);
    else if (reportfile_has(record, TAGPOOL_REPORT_FAULT))
        stop_text_fault(out, record);
    else if (reportfile_has(record, TAGPOOL_REPORT_CRASH))
        stop_text_crash(out, record, findings->is_color);
    else if (reportfile_has(record, TAGPOOL_REPORT_COUNTERS))
        stop_text_counters(out, record);
}

static void findings_tell(const struct findings *findings, const struct reportfile_record *record)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (out == NULL)
        return;
    findings_print(findings, out, record);
    if (fclose(out) == 0)
        findings_write(text, size);
    free(text);
}

/* ---- leaks ---- */

static void findings_keep_leak(struct findings *findings, const struct reportfile_record *record)
{
    findings->leaks = memory_grow(findings->leaks, findings->leak_count, sizeof(*findings->leaks));
    struct findings_leak *leak = &findings->leaks[findings->leak_count++];
    *leak = (struct findings_leak){.data = memory_alloc(record->size, 1),
                                   .size = record->size,
                                   .leak_class = record->leak.leak_class,
                                   .bytes = record->leak.bytes};
    memcpy(leak->data, record->data, record->size);
    if (leak->leak_class == TAGPOOL_REPORT_LOST)
        findings->lost_blocks += record->leak.blocks;
}

/* The surest first, and of each class the largest first. */
static int findings_compare(const void *one, const void *other)
{
    const struct findings_leak *a = one, *b = other;
    if (a->leak_class != b->leak_class)
        return a->leak_class < b->leak_class ? -1 : 1;
    if (a->bytes != b->bytes)
        return a->bytes > b->bytes ? -1 : 1;
    return 0;
}

static void findings_tell_reachable(uint64_t blocks, uint64_t bytes)
{
    char line[128];
    int length = snprintf(line, sizeof(line),
                          "Still reachable: %" PRIu64 " block%s, %" PRIu64 " bytes (--leaks=all tells of each).\n\n",
                          blocks, blocks == 1 ? "" : "s", bytes);
    findings_write(line, (size_t)length);
}

void findings_end_run(struct findings *findings)
{
    struct reportfile_record *record = memory_alloc(1, sizeof(*record));
    uint64_t blocks = 0, bytes = 0;
    bool is_found;
    if (findings->leak_count > 1)
        qsort(findings->leaks, findings->leak_count, sizeof(*findings->leaks), findings_compare);
    for (size_t i = 0; i < findings->leak_count; i++) {
        struct findings_leak *leak = &findings->leaks[i];
        reportfile_parse(leak->data, leak->size, true, record, &is_found);
        if (findings->as_json || findings->all_leaks || leak->leak_class != TAGPOOL_REPORT_REACHABLE) {
            findings_tell(findings, record);
        } else {
            blocks += record->leak.blocks;
            bytes += record->leak.bytes;
        }
        free(leak->data);
    }
    if (blocks > 0)
        findings_tell_reachable(blocks, bytes);
    free(record);
    findings->leak_count = 0;
}

/* ---- all kinds ---- */

/* The same call fails again and again: it is told of once. */
static bool findings_is_new_fault(struct findings *findings, uint64_t stack_hash)
{
    for (size_t i = 0; i < findings->fault_count; i++)
        if (findings->faults[i] == stack_hash)
            return false;
    findings->faults = memory_grow(findings->faults, findings->fault_count, sizeof(*findings->faults));
    findings->faults[findings->fault_count++] = stack_hash;
    return true;
}

static void findings_note_end(struct findings *findings, const struct reportfile_record *record)
{
    bool is_stop = reportfile_has(record, TAGPOOL_REPORT_STOP);
    if (!is_stop && !reportfile_has(record, TAGPOOL_REPORT_COUNTERS))
        return;
    findings->requests += record->counters.allocs_attempted;
    findings->requests_failed += record->counters.faults_injected;
    findings->ends = memory_grow(findings->ends, findings->end_count, sizeof(*findings->ends));
    findings->ends[findings->end_count++] = (struct findings_end){record->head.pid, is_stop};
}

/* How a process ended, by its own words; NULL: it told nothing. */
static const struct findings_end *findings_end_of(const struct findings *findings, uint32_t pid)
{
    for (size_t i = findings->end_count; i-- > 0;)
        if (findings->ends[i].pid == pid)
            return &findings->ends[i];
    return NULL;
}

void findings_take(const struct reportfile_record *record, void *context)
{
    struct findings *findings = context;
    findings_note_end(findings, record);
    if (reportfile_has(record, TAGPOOL_REPORT_LEAK)) {
        findings_keep_leak(findings, record);
        return;
    }
    if (reportfile_has(record, TAGPOOL_REPORT_STOP))
        findings->stops++;
    else if (!findings->as_json && reportfile_has(record, TAGPOOL_REPORT_FAULT) &&
             !findings_is_new_fault(findings, record->fault.stack_hash))
        return;
    findings_tell(findings, record);
}

/* As a record that the process itself would have made. */
static struct reportfile_record *findings_make_remains(uint32_t pid, const struct remains *remains)
{
    struct reportfile_record *record = memory_alloc(1, sizeof(*record));
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    record->head.kind = TAGPOOL_REPORT_CRASH_RECORD;
    record->head.pid = pid;
    record->head.time_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
    memcpy(record->head.program, remains->program, sizeof(record->head.program));
    record->counters = remains->counters;
    record->items = 1u << TAGPOOL_REPORT_COUNTERS;
    return record;
}

void findings_take_remains(struct findings *findings, uint32_t pid, int signal, const struct remains *remains)
{
    const struct findings_end *end = findings_end_of(findings, pid);
    if (end != NULL && !end->is_stop)
        return;
    struct reportfile_record *record = findings_make_remains(pid, remains);
    if (end == NULL) {
        record->crash.signal = (uint32_t)signal;
        record->items |= 1u << TAGPOOL_REPORT_CRASH;
    }
    findings_tell(findings, record);
    free(record);
}

void findings_free(struct findings *findings)
{
    findings_end_run(findings);
    free(findings->leaks);
    free(findings->faults);
    free(findings->ends);
}
