/*
 * Leaks of a running process, found from outside (leak.h): it stands still while its memory is read, twice if anything
 * was lost at first.
 */
#ifndef LEAKSCAN_H
#define LEAKSCAN_H

#include "leak.h"
#include "process.h"

#define LEAKSCAN_LOOKS 2

struct leakscan {
    struct tp_leak_result *result;
    double paused_ms[LEAKSCAN_LOOKS]; /* how long it stood still */
    unsigned looks;
};

/* 0, or a status after a sentence on stderr.  leakscan_free frees what is held, either way. */
int leakscan_run(struct leakscan *scan, const struct process *process);
void leakscan_free(struct leakscan *scan);

/* The frames of a group's stack, innermost first: their number. */
unsigned leakscan_frames(const struct process *process, uint32_t stack, uintptr_t *frames, unsigned most);

#endif
