/*
 * The running programs that a tool switches something in.
 */
#ifndef TARGET_H
#define TARGET_H

#include "control.h"
#include "setting.h"

struct targets {
    struct process_list list;
    struct control *items;
    size_t count;
};

/* A list of PIDs and names, as options give it; names are not copied. */
struct target_names {
    const char **items;
    size_t count;
};
void target_names_add(struct target_names *names, const char *name);

/*
 * Find and open them: by PID, or all of our user's by that name; without names, all of our user's.  0, or a status
 * after a sentence.  targets_close frees what there is, either way.
 */
int targets_open(struct targets *targets, const struct target_names *names);
void targets_close(struct targets *targets);

/* What is to change in one of them; limits begin empty. */
struct target_change {
    const struct process *process;
    struct ruleset rules;
    struct control_limits limits;
    bool is_changed; /* rules are to be written */
};

/*
 * Have `change` made in each of them, under its lock.  change returns 0 or a status after a sentence: then this target
 * is left as it was, and the others go on.  The first status that is not 0.
 */
int targets_change(struct targets *targets, int (*change)(struct target_change *change, void *context), void *context);

/* As `change` above: what settings say; context is a struct setting_list.  1 after a sentence: nothing of it was on. */
int target_apply(struct target_change *change, void *context);

/* Wait up to a second for them to read what was written; says on stdout how it stands, a line each. */
void targets_wait(const struct targets *targets);

/* Was it started by `run --verify`, or by what does the same: functions of the C library look at their ranges there. */
bool target_has_ranges(const struct process *process);

/* "sqlite3 (4711)", fit for a terminal; the buffer is static. */
const char *target_title(const struct process *process);

#endif
