/*
 * The control page of a running program, as a tool writes it (include/tagpool/segment.h).
 *
 * N1  Only the page is written, of a file that belongs to the process and to our user (to any user, by root).
 * N2  One tool at a time: the file is locked (flock) from the look at what is there to what is written.
 * N3  What is switched is written before its number changes, and that before the epoch.
 */
#ifndef CONTROL_H
#define CONTROL_H

#include "process.h"
#include "ruleset.h"

struct control {
    const struct process *process;
    struct segfile front; /* header and control page: base and size alone */
    int fd;
};

/* Limits to write, or what is in force of them. */
struct control_limits {
    struct tagpool_segment_limit items[TAGPOOL_SEGMENT_LIMITS];
    uint32_t count;
};

/* What stands in the page, made safe; and whether the program has read it. */
struct control_state {
    struct ruleset rules;
    bool is_seen;
};

/* Map it: 0 or -errno. */
int control_open(struct control *control, const struct process *process);
void control_close(struct control *control);

/* Wait for the lock: 0, or -errno (-EBUSY: another tool has had it for long). */
int control_lock(const struct control *control);
void control_unlock(const struct control *control);

int control_read(const struct control *control, struct control_state *state);

/* Write rules, limits, or both (NULL: not these): 0 or -errno (-ENOSPC: the program has not read earlier limits yet).
 */
int control_write(const struct control *control, const struct ruleset *rules, const struct control_limits *limits);

/* A sentence's second half. */
const char *control_error_text(int error);

#endif
