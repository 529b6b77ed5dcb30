/*
 * The processes that publish accounts, found by their segment files.
 *
 * Files are looked for in /dev/shm as we see it and as each other mount namespace sees it (containers), through
 * /proc/PID/root.  A file belongs to the process with the PID (in its own namespace) that it holds, if that process has
 * it mapped.  In the directory that we see ourselves, files of our user that no process has mapped are removed, but
 * for the newest few that ended by a signal: those are for a look post mortem.
 *
 * TAGPOOL_SEGMENT_DIR names another directory to look in, and then the only one.
 */
#ifndef PROCESS_H
#define PROCESS_H

#include "segfile.h"

#define PROCESS_KEEP_KILLED 4

struct process {
    pid_t pid; /* as we see it */
    struct segfile file;
    char *name;   /* of the file */
    pid_t rooted; /* the file lies in /dev/shm of this process's mount namespace; 0: where we see it */
};

/* A file of ours that could not be used, though its name is right. */
struct process_problem {
    char *name;
    pid_t pid; /* by its name */
    int error;
};

struct process_list {
    struct process *items;
    size_t count;
    struct process_problem *problems;
    size_t problem_count;
};

/* Fill the list: all processes, or only `pid` when that is not 0.  0, or -errno when the directory cannot be read. */
int process_find(struct process_list *list, pid_t pid);
void process_list_free(struct process_list *list);

/* Open the file of a process once more, to write to it: a descriptor, or -errno (-ESRCH: it is not there any more). */
int process_open_for_writing(const struct process *process);

/* The directory that is looked in. */
const char *process_directory(void);

/* Say on stderr why process_find did not find `pid`, or any process at all. */
void process_explain(const struct process_list *list, pid_t pid);
void process_explain_none(const struct process_list *list);

#endif
