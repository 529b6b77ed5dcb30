/*
 * The few facts about processes that the tools take from /proc.
 */
#ifndef PROCFS_H
#define PROCFS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* What /proc/PID/status says. */
struct procfs_status {
    pid_t inner_pid; /* in the process's own PID namespace */
    uid_t uid;
};

/* Read a small file into buffer and end it by NUL: its length, or -errno. */
ssize_t procfs_read_file(const char *path, char *buffer, size_t size);

/* When a process started, on the clock CLOCK_BOOTTIME, rounded down to a tick; UINT64_MAX: there is no such process. */
uint64_t procfs_start_ns(pid_t pid);

int procfs_status(pid_t pid, struct procfs_status *status);
uint64_t procfs_rss_bytes(pid_t pid);

/* Identity of a namespace ("pid", "mnt") of a process; 0 where we may not look. */
uint64_t procfs_namespace(pid_t pid, const char *kind);

/*
 * Does a process have a file mapped for writing?  (Those who only read it are tools.)  1, 0, or -errno where we may
 * not look.
 */
int procfs_maps_file(pid_t pid, dev_t device, ino_t inode);

/* Does a process have a library mapped whose file name begins so?  As procfs_maps_file. */
int procfs_maps_library(pid_t pid, const char *name);

/* Call found(pid, context) for each process. */
void procfs_each(void (*found)(pid_t pid, void *context), void *context);

#endif
