/*
 * What a verified program tells about itself: stops, leaks, faults on purpose.  Records in a file, read by `tagpool`.
 *
 *   file      record, record, ...        each appended by one write(), so that many processes may share a file
 *   record    struct tagpool_report_record, then items
 *   item      struct tagpool_report_item, then its payload, padded to 8 bytes
 *
 * The program knows addresses; which function and line they stand for is found by the reader, from the libraries'
 * files: a frame names its library by an index among the record's TAGPOOL_REPORT_MODULE items.  All fields have fixed
 * width and native byte order.  Readers check every length, pass over items they do not know, and look for the next
 * magic number behind a damaged record.
 */
#ifndef TAGPOOL_REPORT_H
#define TAGPOOL_REPORT_H

#include <stdint.h>

#define TAGPOOL_REPORT_MAGIC UINT32_C(0x52504754) /* "TGPR" */
#define TAGPOOL_REPORT_RECORD_MAX 65536u
#define TAGPOOL_REPORT_FRAMES 64u
#define TAGPOOL_REPORT_NO_MODULE UINT32_MAX

enum tagpool_report_kind {
    TAGPOOL_REPORT_STOP_RECORD = 1, /* STOP, then BLOCK, STACK, MODULE and BYTES items as far as they are known */
    TAGPOOL_REPORT_LEAK_RECORD,     /* LEAK, then STACK and MODULE items */
    TAGPOOL_REPORT_FAULT_RECORD,    /* FAULT, then STACK and MODULE items: an allocation was made to fail */
    TAGPOOL_REPORT_END_RECORD,      /* COUNTERS: the program ended by itself */
    TAGPOOL_REPORT_CRASH_RECORD,    /* CRASH, then COUNTERS if they are known, STACK and MODULE items: after a fault, a
                                       signal ends the program */
};

struct tagpool_report_record {
    uint32_t magic;
    uint32_t size; /* of the whole record, a multiple of 8 */
    uint32_t kind; /* enum tagpool_report_kind */
    uint32_t pid;
    uint64_t time_ns; /* CLOCK_REALTIME */
    char program[64]; /* as struct tagpool_segment_header */
};

enum tagpool_report_item_type {
    TAGPOOL_REPORT_STOP = 1,
    TAGPOOL_REPORT_BLOCK,
    TAGPOOL_REPORT_STACK,
    TAGPOOL_REPORT_MODULE,
    TAGPOOL_REPORT_BYTES,
    TAGPOOL_REPORT_LEAK,
    TAGPOOL_REPORT_FAULT,
    TAGPOOL_REPORT_COUNTERS,
    TAGPOOL_REPORT_CRASH,
};

struct tagpool_report_item {
    uint32_t type; /* enum tagpool_report_item_type */
    uint32_t size; /* of the payload, without padding */
};

enum tagpool_report_access {
    TAGPOOL_REPORT_NO_ACCESS,
    TAGPOOL_REPORT_READ,
    TAGPOOL_REPORT_WRITE,
};

struct tagpool_report_stop {
    uint32_t rule; /* a row of <tagpool/rules.h> */
    uint32_t code;
    uint64_t parameters[4];
    uint64_t address; /* what was freed or touched; 0: none */
    uint32_t access;  /* enum tagpool_report_access */
    uint32_t thread;  /* as the kernel numbers it */
    uint64_t size;    /* that a function of the C library was to read or write; 0: an instruction, or no access */
};

/* How a block is kept, and whether it lives. */
enum tagpool_report_keeper {
    TAGPOOL_REPORT_ORDINARY = 1,
    TAGPOOL_REPORT_WATCHED, /* patterns around it */
    TAGPOOL_REPORT_SPECIAL, /* special pool: pages of its own */
};
enum tagpool_report_state { TAGPOOL_REPORT_LIVE = 1, TAGPOOL_REPORT_FREED };

/* The call that made a block: what must free it. */
enum tagpool_report_face {
    TAGPOOL_REPORT_MALLOC = 1,
    TAGPOOL_REPORT_NEW,
    TAGPOOL_REPORT_NEW_ARRAY,
    TAGPOOL_REPORT_API, /* tagpool_ functions */
};

struct tagpool_report_block {
    uint64_t address;
    uint64_t size; /* as requested; of an ordinary block, its block bytes */
    int64_t offset; /* of the address in question, from the block's first byte */
    uint32_t tag;
    uint8_t kind;   /* 0 nonpaged, 1 paged */
    uint8_t keeper; /* enum tagpool_report_keeper */
    uint8_t state;  /* enum tagpool_report_state */
    uint8_t face;   /* enum tagpool_report_face; 0: not known */
    uint32_t alloc_thread; /* 0: not known, as the next */
    uint32_t free_thread;
    char name[112]; /* long name of the tag, may be empty */
};

enum tagpool_report_stack_role {
    TAGPOOL_REPORT_STACK_HERE = 1, /* the access, or the call that was found wrong */
    TAGPOOL_REPORT_STACK_ALLOC,
    TAGPOOL_REPORT_STACK_FREE,
};

/* Followed by `count` frames, innermost first. */
struct tagpool_report_stack {
    uint32_t role; /* enum tagpool_report_stack_role */
    uint32_t count;
};

struct tagpool_report_frame {
    uint64_t pc;     /* a return address; of the innermost frame of HERE, where is_exact, the instruction itself */
    uint64_t offset; /* from the library's load address: as its symbol table counts */
    uint32_t module; /* an index, or TAGPOOL_REPORT_NO_MODULE */
    uint32_t is_exact;
};

/* Followed by its path, NUL-terminated. */
struct tagpool_report_module {
    uint32_t index;
    uint32_t reserved;
    uint64_t base; /* load address */
};

/* Followed by `count` bytes that stood at `address`; what a freed block held was kept aside. */
struct tagpool_report_bytes {
    uint64_t address;
    uint32_t count;
    uint32_t reserved;
};

enum tagpool_report_leak_class { TAGPOOL_REPORT_LOST = 1, TAGPOOL_REPORT_POSSIBLY_LOST, TAGPOOL_REPORT_REACHABLE };

/* All blocks of one tag and allocation stack. */
struct tagpool_report_leak {
    uint32_t leak_class; /* enum tagpool_report_leak_class */
    uint32_t tag;
    uint64_t blocks;
    uint64_t bytes;
    char name[112];
};

struct tagpool_report_fault {
    uint64_t stack_hash; /* the same in each run: made of libraries' names and offsets */
    uint64_t size;       /* of the request */
    uint32_t tag;
    uint32_t reserved;
};

/* An access that the program was not prepared for: SIGSEGV or SIGBUS, without a handler. */
struct tagpool_report_crash {
    uint64_t address; /* that was touched */
    uint32_t signal;
    uint32_t thread;
};

/* Numbers of the verifier at the end of the program; names as the original's. */
struct tagpool_report_counters {
    uint64_t allocs_attempted;
    uint64_t allocs_succeeded;
    uint64_t allocs_special;
    uint64_t allocs_watched;
    uint64_t special_refused;
    uint64_t allocs_failed;
    uint64_t faults_injected;
    uint64_t leaks_lost; /* blocks */
    uint64_t leaks_possibly_lost;
    uint64_t leaks_reachable;
};

#endif
