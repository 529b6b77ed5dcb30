/*
 * A file of reports that verified processes append to (tagpool/report.h), read while it grows and without trust.
 *
 * Q1  No byte outside the data is read, whatever lengths the data claims, and every reading ends.
 * Q2  Damage costs the record that it hits: the next whole one is found again by its magic number.
 * Q3  Names and paths are handed on with an end, but may hold any bytes: make them fit before printing them.
 * Q4  The file is read, never mapped: one that is cut off gives less, not a SIGBUS.  Its holes are passed over.
 */
#ifndef REPORTFILE_H
#define REPORTFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <tagpool/report.h>

#define REPORTFILE_ROLES (TAGPOOL_REPORT_STACK_FREE + 1)
#define REPORTFILE_MODULES (TAGPOOL_REPORT_STACK_FREE * TAGPOOL_REPORT_FRAMES)
#define REPORTFILE_BYTES 4

struct reportfile_stack {
    uint32_t count; /* 0: there is none */
    struct tagpool_report_frame frames[TAGPOOL_REPORT_FRAMES];
};

struct reportfile_module {
    uint32_t index;
    uint64_t base;
    const char *path; /* in the data that was parsed, as the next one's pointer */
};

struct reportfile_bytes {
    uint64_t address;
    uint32_t count;
    const unsigned char *bytes;
};

/*
 * One record with all that is known of it, but for frames of our own modules where a stop was noticed.  Items that it
 * has: bits of 1u << enum tagpool_report_item_type.
 */
struct reportfile_record {
    const unsigned char *data; /* itself */
    size_t size;
    struct tagpool_report_record head;
    uint32_t items;
    struct tagpool_report_stop stop;
    struct tagpool_report_block block;
    struct tagpool_report_leak leak;
    struct tagpool_report_fault fault;
    struct tagpool_report_counters counters;
    struct tagpool_report_crash crash;
    struct reportfile_stack stacks[REPORTFILE_ROLES]; /* by enum tagpool_report_stack_role */
    struct reportfile_module modules[REPORTFILE_MODULES];
    size_t module_count;
    struct reportfile_bytes bytes[REPORTFILE_BYTES];
    size_t bytes_count;
};

/*
 * Look for the first whole record in data.  Returns how many bytes are done with: those of the record and of what lay
 * before it where *is_found, else those that no record can begin in.  What is left over may become a record when more
 * has come; is_last: nothing will.
 */
size_t reportfile_parse(const unsigned char *data, size_t size, bool is_last, struct reportfile_record *record,
                        bool *is_found);

static inline bool reportfile_has(const struct reportfile_record *record, enum tagpool_report_item_type type)
{
    return (record->items >> type & 1) != 0;
}

/* The module of a frame, or NULL. */
const struct reportfile_module *reportfile_module(const struct reportfile_record *record,
                                                  const struct tagpool_report_frame *frame);

struct reportfile {
    int fd;
    uint64_t offset; /* of the file's first byte that is not in `data` yet */
    unsigned char *data;
    size_t size;
};

/*
 * Make one for a program to find: `tagpool-report.UID.PID` in a directory in memory, readable by its user alone.  0
 * with its path in memory of the caller's, who removes it; or -errno.
 */
int reportfile_create(struct reportfile *file, char **path);

typedef void reportfile_take(const struct reportfile_record *record, void *context);

/* The descriptor is the reader's from now on, and its position as well: nobody may write by a copy of it. */
void reportfile_init(struct reportfile *file, int fd);
void reportfile_fini(struct reportfile *file);

/* Hand on each record that has come since the last call, in order; is_last: no more is waited for. */
void reportfile_read(struct reportfile *file, bool is_last, reportfile_take *take, void *context);

#endif
