/*
 * Run a program as a child and stay beside it unseen.
 *
 * V1  The child is in our process group and session, and has the signals, descriptors and terminal that we were given.
 * V2  What the terminal sends to the group reaches it without us: we wait on.  What is sent to us alone to end us or to
 *     tell us something is passed on.
 * V3  No signal but SIGKILL ends us before our work is done.
 */
#ifndef SUPERVISE_H
#define SUPERVISE_H

struct supervise {
    const char *path;
    char **argv;
    const char *watched; /* a file: look(context) is called soon after each change to it */
    void (*look)(void *context);
    void *context;
    int pid; /* of the child, once it runs */
};

/* Before anything is made that must be removed again: V3 holds from here on, to the end. */
void supervise_hold(void);

/* Run it to its end: 0 with waitpid's status, or -errno when it was not executed. */
int supervise_run(struct supervise *supervise, int *wait_status);

#endif
