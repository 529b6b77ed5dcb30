/*
 * The control group that the process runs in: how much memory it may have, and has.
 *
 *   /proc/self/cgroup    0::/a/b   (version 2)   4:memory:/a/b   (version 1)
 *   MOUNT/a/b  MOUNT/a  MOUNT      each may have a limit; the one with the least room counts
 */
#ifndef TP_CGROUP_H
#define TP_CGROUP_H

#include "base.h"

/* Where the system shows them; tests have others. */
struct tp_cgroup_paths {
    const char *self;   /* the process's groups */
    const char *mount2; /* of version 2 */
    const char *mount1; /* of version 1's memory controller */
};
extern const struct tp_cgroup_paths tp_cgroup_system;

struct tp_cgroup_memory {
    uint64_t limit; /* bytes; UINT64_MAX: none at any level, or it cannot be told */
    uint64_t used;  /* without file pages that nobody used lately: these go first when there is need */
};
struct tp_cgroup_memory tp_cgroup_read(const struct tp_cgroup_paths *paths);

#endif
