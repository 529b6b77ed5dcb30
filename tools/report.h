/*
 * What the program says on stderr, and the statuses it ends with.
 */
#ifndef REPORT_H
#define REPORT_H

enum report_status {
    STATUS_OK = 0,
    STATUS_FAILED = 1,        /* nothing to show, or it could not be written */
    STATUS_USAGE = 2,         /* a wrong argument */
    STATUS_STOPS = 3,         /* run --verify: a rule was broken */
    STATUS_LEAKS = 4,         /* run --verify: blocks are lost */
    STATUS_NO_MODULE = 125,   /* run: our own part is missing */
    STATUS_CANNOT_RUN = 126,  /* run: the program is there, but not one that we can run */
    STATUS_NOT_FOUND = 127,   /* run: there is no such program */
};

/* The name that messages begin with: "tagpool" or "poolmon". */
void report_set_name(const char *name);
const char *report_name(void);

/* Put one sentence on stderr.  report_usage returns STATUS_USAGE. */
void report(const char *format, ...) __attribute__((format(printf, 1, 2)));
int report_usage(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Write out what stdout still holds: 0, or STATUS_FAILED after saying why it could not be written. */
int report_flush_output(void);

#endif
