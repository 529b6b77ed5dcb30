/*
 * One segment file of another process, read without trusting it.
 *
 * F1  Only regular files of our own user are read (of any user by root), never through a link, never waiting.
 * F2  A file that is cut off while we read gives an error, not a SIGBUS.
 * F3  Reading never makes the file larger: its holes are not mapped but shown as zeros.
 */
#ifndef SEGFILE_H
#define SEGFILE_H

#include "census.h"

#include <stdbool.h>
#include <sys/types.h>
#include <time.h>

struct segfile {
    void *base;
    size_t size;
    struct tp_census_view view;
    struct tagpool_segment_header header; /* as it was when the file was opened */
    uid_t owner;
    dev_t device;
    ino_t inode;
    struct timespec modified;
};

/* All that one reading of a file gives.  Index 0 is slot 0, which is never used. */
struct segfile_reading {
    uint32_t count;
    struct tagpool_segment_slot *slots;
    struct tp_census_sum *sums;
    uint32_t quota_count;
    struct tagpool_segment_quota *quotas; /* index 0 is never used, as for slots */
    uint32_t flags;
    uint64_t touched_bytes;
    uint64_t metadata_bytes;
    uint64_t locked_bytes;
};

/*
 * Open `name` in a directory.  0, or -errno of the system, of tp_census_open, or
 *   -EPERM   the file belongs to another user
 *   -ENODEV  it is no regular file
 *   -EFAULT  it was cut off while we read it
 */
int segfile_open(struct segfile *file, int directory, const char *name);
void segfile_close(struct segfile *file);

/* Is a file mapped for writing by any process, also one that we cannot see?  Also 1 where there is no telling. */
int segfile_is_in_use(int directory, const char *name);

/* Sum up everything.  0 or -EFAULT; segfile_reading_free frees what it holds either way. */
int segfile_read(const struct segfile *file, struct segfile_reading *reading);
void segfile_reading_free(struct segfile_reading *reading);

/* What the verifier has counted, over all parts of the program; nothing is left out of a sum.  0 or -EFAULT. */
int segfile_read_verifier(const struct segfile *file, struct tagpool_segment_verifier *sums);

/*
 * Run action(file, context), which touches [base, base + size) of a shared mapping: its result, or -EFAULT when the
 * file was cut off meanwhile.  The action must not own anything, since it can be left at any access.
 */
int segfile_guard(const struct segfile *file, int (*action)(const struct segfile *file, void *context), void *context);

/* A sentence's second half for an error of the two: "it belongs to another user". */
const char *segfile_error_text(int error);

#endif
