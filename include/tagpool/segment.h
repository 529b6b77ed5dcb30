/*
 * The accounts of a running program, as a file that other processes read.
 *
 *   offset 0        struct tagpool_segment_header        one OS page, written by the program
 *   offset 4096     struct tagpool_segment_control       one OS page, written by tools
 *   slots_offset    struct tagpool_segment_slot[]        a row for each (tag, kind)
 *   tallies_offset  struct tagpool_segment_tally[]       a row for each (thread, slot) that needs one; 0 never
 *   quotas_offset   struct tagpool_segment_quota[]       a row for each quota account; the first is never used
 *   rows_offset     struct tagpool_segment_row[]         a row for each 64 KiB unit of pool memory
 *
 * The file lies in /dev/shm as tagpool.UID.PID (with .NONCE behind it where that
 * name is taken), mode 0600, sparse.  All fields have fixed width and native
 * byte order; nothing in the file is found by an address.  Every field named *_total only goes up, except that a row or
 * tally that is folded into its slot starts again from zero.
 *
 * What a reader may rely on, and what it must do:
 *
 *  G1  Sizes and offsets come from the header and must be checked against the size of the file.  The file may be
 *      truncated or damaged at any time: read it with care for SIGBUS, or with pread.
 *  G2  A number of a slot is the sum of its own *_total fields, of all tallies that name it and of all rows that
 *      name it.  While a fold moves numbers into a slot, the slot's `sequence` is odd; it differs after a fold.
 *      A reader that saw a sequence odd or changed reads again.
 *  G3  Read the tallies' frees first, then each row's frees before its allocs, then the tallies' allocs: then what is
 *      live is never shown too small, and each number lies between its true values at the start and at the end of the
 *      read.
 *  G4  A row's `id` changes its upper half when the unit changes hands; read it before and after the counters.
 *  G5  The process is the one that made the file while /proc/PID/maps shows a mapping of the file's inode: the file of
 *      a program that was replaced by exec, or killed, stays behind.
 *  G6  Nothing that a tool writes outside the control page has an effect on the program, but near a limit, where the
 *      program sums its own counters up.
 */
#ifndef TAGPOOL_SEGMENT_H
#define TAGPOOL_SEGMENT_H

#include <stdint.h>

#define TAGPOOL_SEGMENT_MAGIC UINT64_C(0x314c4f4f50474154) /* "TAGPOOL1" */
#define TAGPOOL_SEGMENT_VERSION 2u
#define TAGPOOL_SEGMENT_DIR "/dev/shm"
#define TAGPOOL_SEGMENT_PREFIX "tagpool."

#define TAGPOOL_SEGMENT_PAGE 4096u
#define TAGPOOL_SEGMENT_CLASSES 64u
#define TAGPOOL_SEGMENT_TABLES 2u
#define TAGPOOL_SEGMENT_REGIONS 2u
#define TAGPOOL_SEGMENT_NAME 112u

/* Life of the program, as it told itself. */
enum tagpool_segment_state {
    TAGPOOL_SEGMENT_RUNNING = 1,
    TAGPOOL_SEGMENT_ENDED = 2 /* ended by itself; a file that still says RUNNING after death was killed */
};

/* Bits of header.flags. */
enum tagpool_segment_flag {
    TAGPOOL_SEGMENT_INCOMPLETE = 1u << 0, /* some units could not be shown (no room in /dev/shm): sums are too small */
    TAGPOOL_SEGMENT_SLOTS_FULL = 1u << 1, /* more tags than slots: the rest is counted under the tag ???? */
    TAGPOOL_SEGMENT_FORKED = 1u << 2      /* made by a forked child: counts start with what it inherited */
};

/* Which face of the engine made a slot: what its tag stands for. */
enum tagpool_segment_face {
    TAGPOOL_SEGMENT_API = 1,      /* chosen by the programmer through tagpool.h */
    TAGPOOL_SEGMENT_MODULE = 2,   /* a library or executable; name = its file name */
    TAGPOOL_SEGMENT_SITE = 3,     /* a calling address; name = "module+0xoffset" */
    TAGPOOL_SEGMENT_LOOKASIDE = 4 /* no tag, a lookaside list: see below */
};

/* A run of rows that are in use: rows [first, first + used_total). */
struct tagpool_segment_region {
    uint64_t first;
    uint64_t used_total;
};

/* Limits of a pool; 0: none. */
struct tagpool_segment_pool {
    uint64_t soft_bytes;
    uint64_t hard_bytes;
    uint64_t refused_total;
};

/*
 * What the verifier has done with requests that a rule matched.  A thread adds to one of several parts, so that threads
 * seldom meet: a number is the sum of it in all parts.
 */
struct tagpool_segment_verifier {
    uint64_t succeeded_total;
    uint64_t failed_total; /* for want of memory, or by a limit */
    uint64_t failed_deliberately_total;
    uint64_t special_total; /* blocks of special pool */
    uint64_t watched_total; /* blocks with patterns around them */
    uint64_t special_refused_total;
    uint64_t page_or_more_total;                   /* requests of an OS page or more */
    uint64_t settled_total;                        /* blocks that succeeded_total and watched_total leave out */
    uint64_t live_blocks[TAGPOOL_SEGMENT_REGIONS]; /* by kind; of one part alone it may be below zero, as the next */
    uint64_t live_bytes[TAGPOOL_SEGMENT_REGIONS];
    uint64_t reserved1[4];
};
#define TAGPOOL_SEGMENT_VERIFIER_PARTS 8u

struct tagpool_segment_header {
    uint64_t magic;
    uint32_t version;
    uint32_t header_size;
    uint64_t file_size;

    uint32_t slot_size;
    uint32_t slot_count;
    uint64_t slots_offset;
    uint32_t tally_size;
    uint32_t tally_count;
    uint64_t tallies_offset;
    uint32_t quota_size;
    uint32_t quota_count;
    uint64_t quotas_offset;
    uint32_t row_size;
    uint32_t unit_shift; /* 16: a row stands for 64 KiB */
    uint64_t rows_offset;
    uint64_t row_count;

    uint32_t pid; /* as the program sees it: the innermost PID namespace */
    uint32_t uid;
    uint64_t pid_namespace; /* inode of /proc/self/ns/pid */
    uint64_t created_ns;    /* CLOCK_BOOTTIME: a process of this pid that started later is another one */
    uint64_t nonce;         /* new for each exec */
    char program[64];       /* last part of the executable's path, NUL-terminated */

    uint32_t state; /* enum tagpool_segment_state */
    uint32_t flags; /* enum tagpool_segment_flag */
    uint32_t slots_used_total;
    uint32_t tallies_used_total;
    uint32_t quotas_used_total;
    uint32_t reserved0;
    struct tagpool_segment_region region[TAGPOOL_SEGMENT_REGIONS]; /* by kind: 0 nonpaged, 1 paged */

    uint64_t touched_bytes;  /* pool memory that the OS has not got back: under blocks, between them, and free */
    uint64_t metadata_bytes; /* descriptors, rows and heaps; not the tables a thread or tag needs once */
    uint64_t locked_bytes;   /* nonpaged pool that is locked now */

    struct tagpool_segment_pool pool[TAGPOOL_SEGMENT_REGIONS]; /* by kind, as regions */

    /* Block size of each (table, class): a live block of a row counts this much. */
    uint32_t class_size[TAGPOOL_SEGMENT_TABLES][TAGPOOL_SEGMENT_CLASSES];

    /* Of the control page: the numbers of what is in force. */
    uint32_t rules_seen;
    uint32_t limits_seen;
    uint64_t verified_peak_blocks[TAGPOOL_SEGMENT_REGIONS]; /* highest live seen now and then, by kind, as the next */
    uint64_t verified_peak_bytes[TAGPOOL_SEGMENT_REGIONS];
    uint64_t chart;        /* an address in the program, for tools of the same version that read its memory; private */
    uint64_t reserved1[2]; /* parts begin with a cache line */
    struct tagpool_segment_verifier verifier[TAGPOOL_SEGMENT_VERIFIER_PARTS];
};

/* Slot 0 is never used, so a row or tally of zeros (a hole in the file) counts nothing. */
#define TAGPOOL_SEGMENT_NO_SLOT 0u

/* A limit that a tool sets: of a slot, or of a pool (slot 0). */
struct tagpool_segment_limit {
    uint32_t slot;
    uint32_t kind;
    uint64_t soft_bytes; /* 0: none, as the next */
    uint64_t hard_bytes;
};
#define TAGPOOL_SEGMENT_LIMITS 64u

/* What a rule has done with the requests that it matches. */
enum tagpool_segment_rule_flag {
    TAGPOOL_SEGMENT_RULE_WATCH = 1u << 0,       /* patterns and quarantine */
    TAGPOOL_SEGMENT_RULE_SPECIAL = 1u << 1,     /* special pool: one in one_in of them */
    TAGPOOL_SEGMENT_RULE_AUTO = 1u << 2,        /* special pool: the first ones of each calling site, then ever fewer */
    TAGPOOL_SEGMENT_RULE_TRACK = 1u << 3,       /* remember who allocated, by samples of call stacks */
    TAGPOOL_SEGMENT_RULE_FAIL = 1u << 4,        /* fail on purpose: see fail_* */
    TAGPOOL_SEGMENT_RULE_EXACT = 1u << 5,       /* special pool: place blocks to the byte */
    TAGPOOL_SEGMENT_RULE_UNDER = 1u << 6,       /* special pool: at the beginning of pages */
    TAGPOOL_SEGMENT_RULE_MIXED = 1u << 7,       /* special pool: at the beginning or end, by a coin for each block */
    TAGPOOL_SEGMENT_RULE_TRACK_SITE = 1u << 8,  /* the same by calling sites */
    TAGPOOL_SEGMENT_RULE_TRACK_FULL = 1u << 9,  /* the same by whole stacks, every one */
    TAGPOOL_SEGMENT_RULE_SYSTEMATIC = 1u << 10, /* one call stack fails: <tagpool/claims.h> */
};

/*
 * A rule of the verifier.  Patterns: `?` stands for one character, `*` for the rest; NUL-terminated; a tag of four
 * characters matches with or without its blanks at the end.  All rules that match a request act together.
 */
struct tagpool_segment_rule {
    char pattern[48];  /* of a tag, or of its long name */
    char site[40];     /* of a calling site, "library+0xoffset" or "library"; empty: any.  Of FAIL alone */
    uint64_t size_min; /* bytes asked for */
    uint64_t size_max; /* 0: any */
    uint32_t flags;    /* enum tagpool_segment_rule_flag */
    uint32_t one_in;
    uint32_t fail_chances;  /* in 10,000 */
    uint32_t fail_nth;      /* that request fails, counted from 1; 0: none for its number */
    uint32_t fail_after_ms; /* nothing fails before the rule was in force for so long */
    uint32_t reserved;
};
#define TAGPOOL_SEGMENT_RULES 16u

/*
 * Written by tools.  The program range-checks what it reads here.
 *
 * To switch something: write it, then add one to the number of what was switched, then to the epoch.  Who allocates
 * first under the new epoch reads all of it, and then shows the number in the header (rules_seen, limits_seen).  One
 * tool writes at a time: who has a lock on the file (flock).  Limits that were seen may be written over.
 */
struct tagpool_segment_control {
    uint64_t epoch;          /* a tool that switched anything adds one: each thread looks its tags up anew */
    uint32_t limits_version; /* limits are read when this differs from the last time */
    uint32_t limits_count;
    struct tagpool_segment_limit limits[TAGPOOL_SEGMENT_LIMITS];
    uint32_t rules_version; /* rules are read when this differs from the last time */
    uint32_t rules_count;
    struct tagpool_segment_rule rules[TAGPOOL_SEGMENT_RULES];
};

/*
 * A tag and kind, or a lookaside list.  A list's blocks count under its tag's slot, as long as the list has them; its
 * own slot says what went in and out of the list: allocs and frees are calls, alloc_bytes are what came from the pool
 * (bytes / block_size misses) and free_bytes what went back there.
 */
struct tagpool_segment_slot {
    uint32_t tag; /* four characters in memory order */
    uint8_t used; /* 0: not in use (all else is meaningless) */
    uint8_t kind; /* 0 nonpaged, 1 paged: POOL_TYPE & 1 */
    uint8_t face; /* enum tagpool_segment_face */
    uint8_t reserved0;
    uint32_t sequence; /* odd while numbers move into this slot */
    uint32_t reserved1;

    uint64_t allocs_total; /* folded rows and tallies */
    uint64_t frees_total;
    uint64_t alloc_bytes_total;
    uint64_t free_bytes_total;
    uint64_t large_allocs_total; /* blocks that have a span of their own */
    uint64_t large_frees_total;
    uint64_t large_alloc_bytes_total;
    uint64_t large_free_bytes_total;
    uint64_t peak_bytes; /* highest live seen at a slow path; a reader shows at least what is live now */
    uint32_t block_size; /* a lookaside list's, as are the next two */
    uint16_t depth;
    uint16_t maximum_depth;
    uint64_t soft_bytes; /* limits; 0: none */
    uint64_t hard_bytes;
    uint64_t refused_total; /* requests that a limit of the tag's or its pool's refused */
    uint64_t reserved2[3];
    char name[TAGPOOL_SEGMENT_NAME]; /* long name, NUL-terminated; empty for API tags that have none */
};

struct tagpool_segment_tally {
    uint32_t slot; /* TAGPOOL_SEGMENT_NO_SLOT: not in use */
    uint32_t thread;
    uint64_t allocs_total;
    uint64_t frees_total;
    uint64_t alloc_bytes_total;
    uint64_t free_bytes_total;
    uint64_t reserved[3];
};

/* A quota account.  Numbers are by kind; a limit of 0 is none. */
#define TAGPOOL_SEGMENT_QUOTA_NAME 64u
struct tagpool_segment_quota {
    uint32_t used;     /* 0: not in use (all else is meaningless) */
    uint32_t parent;   /* the row of the account above it; 0: none */
    uint32_t sequence; /* odd while the row goes to another account */
    uint32_t reserved0;
    uint64_t limit_bytes[TAGPOOL_SEGMENT_REGIONS];
    uint64_t held_bytes[TAGPOOL_SEGMENT_REGIONS]; /* charged now, here and below */
    uint64_t peak_bytes[TAGPOOL_SEGMENT_REGIONS];
    uint64_t refused_total; /* requests that this account's limit refused */
    uint64_t reserved1[15];
    char name[TAGPOOL_SEGMENT_QUOTA_NAME]; /* NUL-terminated */
};

/*
 * id = generation << 32 | slot << 16 | table << 8 | class.  A slot of TAGPOOL_SEGMENT_NO_SLOT: nothing to
 * count here (a new unit, one that tallies account for, or the inner part of a larger page).
 *
 * allocs and frees lie at 8 modulo 16, and the engine's own hot words at 0 modulo 16: so a store to one never has
 * the same low 12 address bits as a load of the other.  (With equal bits a pair of calls took five times as long.)
 */
struct tagpool_segment_row {
    uint64_t id;
    uint64_t allocs_total;
    uint64_t reserved0;
    uint64_t frees_total;
    uint64_t reserved1[4]; /* a cache line each: neighbouring units may belong to two threads */
};

#ifndef __cplusplus
_Static_assert(sizeof(struct tagpool_segment_header) <= TAGPOOL_SEGMENT_PAGE, "the header is one OS page");
_Static_assert(sizeof(struct tagpool_segment_control) <= TAGPOOL_SEGMENT_PAGE, "the control page is one OS page");
_Static_assert(sizeof(struct tagpool_segment_rule) == 128, "ABI");
_Static_assert(sizeof(struct tagpool_segment_verifier) == 128, "ABI");
_Static_assert(__builtin_offsetof(struct tagpool_segment_header, verifier) % 64 == 0, "ABI");
_Static_assert(sizeof(struct tagpool_segment_slot) == 256, "ABI");
_Static_assert(sizeof(struct tagpool_segment_tally) == 64, "ABI");
_Static_assert(sizeof(struct tagpool_segment_quota) == 256, "ABI");
_Static_assert(sizeof(struct tagpool_segment_row) == 64, "ABI");
#endif

#endif
