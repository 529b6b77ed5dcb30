/*
 * The file of call stacks that were made to fail (tagpool/claims.h), from the side of who makes it.
 */
#ifndef CLAIMS_H
#define CLAIMS_H

#include "scratch.h"

#include <stdbool.h>
#include <stddef.h>
#include <tagpool/claims.h>

struct claims {
    char *path;
    struct tagpool_claims *map;
    size_t size;
};

/* Make an empty one, in a directory that is made as well: 0 or -errno with neither. */
int claims_create_in_scratch(struct claims *claims, struct scratch *scratch);

/* Unmap it; the file is removed with its directory. */
void claims_fini(struct claims *claims);

/* This stack is done. */
void claims_enter(struct claims *claims, uint64_t hash);

/* So few places are left that searches become long. */
bool claims_are_full(const struct claims *claims);

/* The place of a run, made ready for a new one. */
struct tagpool_claims_run *claims_begin_run(struct claims *claims, unsigned run);

#endif
