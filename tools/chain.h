/*
 * Call stacks that outlive the process: libraries and distances in them, as words of a line.
 */
#ifndef CHAIN_H
#define CHAIN_H

#include "reportfile.h"

#include <stdio.h>

struct chain_frame {
    char *module;    /* its path; NULL: in no library */
    uint64_t offset; /* from its load address */
    bool is_exact;   /* an instruction, not a return address */
};

/* Innermost first. */
struct chain {
    struct chain_frame *frames;
    size_t count;
};

/* Take over what a record says of its only stack, at most `most` frames. */
void chain_take(struct chain *chain, const struct reportfile_record *record, size_t most);

/* A record that knows this stack and nothing else, for the functions that print those; it points into the chain. */
void chain_make_record(const struct chain *chain, struct reportfile_record *record);

/* "/usr/bin/prog+0x1234,/lib/libc.so.6+0x55!": one word, "!" where exact, "-" of none. */
void chain_put(FILE *out, const struct chain *chain);

/* False: it is none. */
bool chain_read(struct chain *chain, const char *word);

/* The innermost two places in libraries are the same. */
bool chain_begins_alike(const struct chain *one, const struct chain *other);

void chain_free(struct chain *chain);

#endif
