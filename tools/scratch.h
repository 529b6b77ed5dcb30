/*
 * A directory of our own, in memory where that can be had, for files that programs find by name.
 */
#ifndef SCRATCH_H
#define SCRATCH_H

/* Its name in memory of the caller's, without blanks or colons; NULL with errno. */
char *scratch_create(void);

/* Remove it with its files, and free its name. */
void scratch_remove(char *directory);

#endif
