/*
 * Segments made by hand, for tests of their readers.
 *
 * Layout as a program would make it: header, control page, slots, tallies, quota accounts, rows.  Block sizes: table 0
 * has 16 bytes a class more than the class before (16, 32, 48, ...), table 1 doubles (16, 32, 64, ...).
 */
#ifndef SEGMENT_BUILD_H
#define SEGMENT_BUILD_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <tagpool/segment.h>

struct segment_build {
    unsigned char *bytes;
    size_t size;
    struct tagpool_segment_header *header;
    struct tagpool_segment_slot *slots;
    struct tagpool_segment_tally *tallies;
    struct tagpool_segment_quota *quotas;
    struct tagpool_segment_row *rows;
};

#define SEGMENT_BUILD_QUOTAS 4u

/* An empty, valid segment of this process; all its rows lie in region 0, none is in use. */
void segment_build_init(struct segment_build *build, uint32_t slots, uint32_t tallies, uint64_t rows);
void segment_build_free(struct segment_build *build);

/* Make it that of another process, which must be alive or have an inner PID of its own. */
void segment_build_identify(struct segment_build *build, pid_t pid, const char *program);

struct tagpool_segment_slot *segment_build_slot(struct segment_build *build, uint32_t index, const char *tag,
                                                enum tagpool_segment_face face, const char *name);

/* An account of paged memory. */
struct tagpool_segment_quota *segment_build_quota(struct segment_build *build, uint32_t index, uint32_t parent,
                                                  const char *name, uint64_t limit, uint64_t held);
void segment_build_tally(struct segment_build *build, uint32_t index, uint32_t slot, uint64_t allocs, uint64_t frees,
                         uint64_t block_size);
void segment_build_row(struct segment_build *build, uint64_t index, uint32_t slot, unsigned table, unsigned class,
                       uint64_t allocs, uint64_t frees);

/* Write it to DIRECTORY/tagpool.UID.PID: 0 or -errno; pages of zeros become holes.  *path is the caller's. */
int segment_build_write(const struct segment_build *build, const char *directory, char **path);

/* Map a file as its program does, so that readers believe that it is this process's: the address, or NULL. */
void *segment_build_map(const char *path);

#endif
