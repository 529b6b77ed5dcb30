/*
 * The model of all views: what every process held at one moment, and what changed since the moment before.
 */
#ifndef SNAPSHOT_H
#define SNAPSHOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <tagpool/segment.h>

enum pool_kind { POOL_NONPAGED = 0, POOL_PAGED = 1 }; /* as in a segment's slots */

struct pool_change {
    int64_t allocs;
    int64_t frees;
    int64_t diff;
    int64_t bytes;
    int64_t per_alloc;
};

/* One tag of one kind. */
struct pool {
    uint32_t slot;
    uint32_t tag;
    enum pool_kind kind;
    bool moved;      /* its numbers are near, not exact */
    bool is_api;     /* the programmer chose the tag; else it stands for the name */
    char *name;      /* printable; the tag where there is no long name */
    uint64_t allocs;
    uint64_t frees;
    uint64_t diff;
    uint64_t bytes;
    uint64_t peak_bytes;
    uint64_t per_alloc; /* bytes / diff, 0 when diff is 0 */
    uint64_t soft_bytes; /* limits; 0: none */
    uint64_t hard_bytes;
    uint64_t refused;
    struct pool_change change;
};

/* One lookaside list; numbers as in GENERAL_LOOKASIDE. */
struct lookaside {
    uint32_t tag;
    enum pool_kind kind;
    uint32_t size; /* bytes of a block */
    uint32_t depth;
    uint32_t maximum_depth;
    uint64_t total_allocates;
    uint64_t allocate_misses;
    uint64_t total_frees;
    uint64_t free_misses;
};

/* One quota account; numbers by kind, a limit of 0 is none. */
struct quota {
    char name[80];
    char parent[80]; /* empty: none */
    uint64_t held[TAGPOOL_SEGMENT_REGIONS];
    uint64_t peak[TAGPOOL_SEGMENT_REGIONS];
    uint64_t limit[TAGPOOL_SEGMENT_REGIONS];
    uint64_t refused;
};

/* One process.  rss + untouched = tagged + allocator + other. */
struct accounts {
    pid_t pid;
    uint64_t nonce;
    char program[80];
    bool has_change; /* it was in the snapshot before */
    bool incomplete;
    bool slots_full;
    size_t moved_count;
    uint64_t rss_bytes;
    uint64_t tagged_bytes;
    uint64_t allocator_bytes;
    uint64_t other_bytes;
    uint64_t untouched_bytes;
    uint64_t touched_bytes;
    uint64_t locked_bytes;
    struct pool *pools; /* by slot */
    size_t pool_count;
    struct lookaside *lookaside;
    size_t lookaside_count;
    struct quota *quotas;
    size_t quota_count;
};

struct snapshot {
    struct accounts *items; /* most memory first */
    size_t count;
    uint64_t time_ns;
    double seconds; /* since the snapshot before; 0 for the first */
};

/*
 * Look at all processes, or at `pid` alone when that is not 0.  `before` (or NULL) is what changes are counted from.
 * 0, or -errno when the directory of segments cannot be read.
 */
int snapshot_take(struct snapshot *snapshot, const struct snapshot *before, pid_t pid);
void snapshot_free(struct snapshot *snapshot);

/* Say on stderr why a snapshot of `pid` (0: of all) is empty. */
void snapshot_explain_empty(pid_t pid);

/* Sentences about an account that is not what it should be: the n-th, NULL when there are no more. */
const char *snapshot_note(const struct accounts *accounts, size_t n, char *buffer, size_t size);

#endif
