/*
 * The libraries that a process has loaded, by address, for frames of its call stacks.
 */
#ifndef LOADED_H
#define LOADED_H

#include "reportfile.h"

#include <sys/types.h>

struct loaded_file {
    uint64_t from; /* its mappings: the first byte, and behind the last */
    uint64_t to;
    uint64_t base; /* what its addresses count from */
    char *path;    /* as we can open it */
};

struct loaded {
    struct loaded_file *files;
    size_t count;
};

/* Empty, where it cannot be read. */
void loaded_read(struct loaded *loaded, pid_t pid);
void loaded_free(struct loaded *loaded);

/* Frames for a report, of return addresses; `record` gets the libraries that they lie in, which `loaded` keeps. */
void loaded_put_stack(const struct loaded *loaded, struct reportfile_record *record, struct reportfile_stack *stack,
                      const uintptr_t *frames, unsigned count);

#endif
