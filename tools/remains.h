/*
 * What a program that a signal has ended leaves behind: the counters in its segment, which nobody took away.
 */
#ifndef REMAINS_H
#define REMAINS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <tagpool/report.h>

struct remains {
    char program[64];
    struct tagpool_report_counters counters;
};

/* Of the process that had this PID and began after a moment of CLOCK_BOOTTIME; false: there is nothing. */
bool remains_read(struct remains *remains, pid_t pid, uint64_t since_ns);

/* Now, by the same clock. */
uint64_t remains_now_ns(void);

#endif
