/*
 * gflags: the original's global flags, special pool by tag, and page heap, as what they are here: rules.
 */
#ifndef GFLAGS_H
#define GFLAGS_H

#include "keptfile.h"

/* The page heap of images: what is behind /p.  A status. */
int gflags_heap(int argc, char **argv);

/* Whether rules are a page heap: light (patterns) or full (special pool), for blocks of any tag. */
bool gflags_is_heap(const struct ruleset *rules);

/* Say that something of the original is not here: its name, and why.  Status 1. */
int gflags_no_meaning(const char *what, const char *why);

/* An option of the original's, that begins with '/' or '-'. */
bool gflags_is_option(const char *word, const char *option);

#endif
