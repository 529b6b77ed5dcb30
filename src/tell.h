/*
 * Telling: records for `tagpool` (include/tagpool/report.h), appended to the file that TAGPOOL_REPORT names.
 *
 * Nothing here allocates, takes a lock that the program could hold, or uses stdio, for a report is made in the middle
 * of anything.  One record is made at a time: by the thread that stops, or the one that ends the program.
 */
#ifndef TP_TELL_H
#define TP_TELL_H

#include "fatal.h"

#include <tagpool/report.h>

/* A stop, with all that is known; false: nobody listens. */
bool tp_tell_stop(const struct tp_violation *violation);

/* A request is about to fail on purpose; its call stack. */
void tp_tell_fault(const struct tagpool_report_fault *fault, const uintptr_t *frames, unsigned count);

/* A signal ends the program after a fault: what siginfo_t says, the ucontext_t of its handler, and counters or NULL. */
void tp_tell_crash(uint32_t signal, uintptr_t address, const void *context,
                   const struct tagpool_report_counters *counters);

/* Blocks that were lost at one stack, or all that a tag has left; false: nobody listens. */
bool tp_tell_leak(const struct tagpool_report_leak *leak, uint32_t stack);

/* The program ends by itself. */
void tp_tell_end(const struct tagpool_report_counters *counters);

#endif
