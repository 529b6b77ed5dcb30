/*
 * What `tagpool top` and poolmon share: the options, and the work.
 */
#ifndef TOP_H
#define TOP_H

#include "options.h"
#include "view.h"

enum top_format { TOP_TABLE, TOP_JSON, TOP_CSV, TOP_FILE };

struct top_options {
    pid_t pid; /* 0: all */
    bool once;
    enum top_format format;
    const char *path; /* of TOP_FILE */
    unsigned delay_ms;
    unsigned long count; /* snapshots to show before the end; 0: no end */
    struct view_options view;
};

/* The options of tagpool top; context is a struct top_options. */
extern const struct option_table top_table;

/* Do what the options say; the status to exit with. */
int top_show(const struct top_options *options);

/* The live screen, from a first snapshot which it takes over. */
int screen_run(const struct top_options *options, struct snapshot *first);

#endif
