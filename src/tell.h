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

/* The program ends by itself. */
void tp_tell_end(const struct tagpool_report_counters *counters);

#endif
