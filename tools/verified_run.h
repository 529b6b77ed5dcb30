/*
 * A program under the verifier: run it, tell what is found, and sum it up in one line and a status.
 */
#ifndef VERIFIED_RUN_H
#define VERIFIED_RUN_H

#include "verify.h"

/* The environment but for the verifier's own variables is made already.  The status to end with. */
int verified_run(const struct verify *verify, const char *path, char **argv);

#endif
