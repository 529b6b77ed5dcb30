/*
 * What was found while a program ran: told as it comes, counted, and leaks kept to the end to be sorted.
 */
#ifndef FINDINGS_H
#define FINDINGS_H

#include "remains.h"
#include "reportfile.h"

struct findings_leak {
    unsigned char *data; /* the record */
    size_t size;
    uint32_t leak_class;
    uint64_t bytes;
};

struct findings_end {
    uint32_t pid;
    bool is_stop; /* else it gave its counters as well */
};

struct findings {
    bool as_json;   /* one object a line for each record */
    bool is_color;  /* for a terminal */
    bool all_leaks; /* tell reachable blocks one by one, too */
    uint64_t stops;
    uint64_t lost_blocks;
    uint64_t requests; /* that were looked at, by those that told how many */
    uint64_t requests_failed;
    struct findings_leak *leaks;
    size_t leak_count;
    uint64_t *faults; /* stacks that a fault was told of */
    size_t fault_count;
    struct findings_end *ends; /* of processes that told of one */
    size_t end_count;
};

/* Take a record in (a reportfile_take); context is a struct findings. */
void findings_take(const struct reportfile_record *record, void *context);

/* A signal has ended a process that left this: tell of it, but for what it has told itself. */
void findings_take_remains(struct findings *findings, uint32_t pid, int signal, const struct remains *remains);

/* Tell the leaks of a run that has ended, and forget them. */
void findings_end_run(struct findings *findings);

/* Free what is held. */
void findings_free(struct findings *findings);

#endif
