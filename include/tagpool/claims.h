/*
 * Which call stacks were made to fail already: a file that the runs of one program share with `tagpool`.
 *
 *   | struct tagpool_claims | hashes: `capacity` words, a table with open addressing |
 *
 * A run is one program with its children.  It has a place in `runs`, and fails one request: the first whose stack is
 * in no table yet.  Runs may go on side by side, for a stack is entered by a compare-and-swap, and only one enters it.
 *
 *   1  runs[n].hash    0 -> hash     this run has its fault; whoever else of it finds another stack lets it pass
 *   2  hashes[...]     0 -> hash     this run is the first with this stack; else it gives its fault back (hash -> 0)
 *   3  the FAULT record is appended (report.h), then the request fails
 *
 * A hash begins its search at its own lowest bits and goes on from there, round the end.  It is never 0, and none is
 * ever taken out.
 */
#ifndef TAGPOOL_CLAIMS_H
#define TAGPOOL_CLAIMS_H

#include <stdint.h>

#define TAGPOOL_CLAIMS_MAGIC UINT32_C(0x43504754) /* "TGPC" */
#define TAGPOOL_CLAIMS_RUNS 256u

struct tagpool_claims_run {
    uint64_t hash;    /* of the stack that failed; 0: none did */
    uint32_t pid;     /* whose request it was, as that process sees it */
    uint32_t is_over; /* that process ended by itself, or executed another program */
};

struct tagpool_claims {
    uint32_t magic;
    uint32_t capacity; /* of the table: a power of two */
    struct tagpool_claims_run runs[TAGPOOL_CLAIMS_RUNS];
};

#endif
