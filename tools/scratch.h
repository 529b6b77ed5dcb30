/*
 * A directory of our own, in memory where that can be had, for files that programs find by name.
 *
 * It is locked as long as it is in use.  What a killed session left behind is removed by the next: it has no lock.
 */
#ifndef SCRATCH_H
#define SCRATCH_H

struct scratch {
    char *path; /* without blanks or colons */
    int lock;
};

/* 0 or -errno. */
int scratch_create(struct scratch *scratch);

/* Remove it with its files. */
void scratch_remove(struct scratch *scratch);

#endif
