/*
 * A report for people: what was broken, where, and what to try next.
 */
#ifndef STOP_TEXT_H
#define STOP_TEXT_H

#include "reportfile.h"

#include <stdio.h>

void stop_text_stop(FILE *out, const struct reportfile_record *record, bool is_color);

/* All blocks of one tag and stack that are not freed at the end. */
void stop_text_leak(FILE *out, const struct reportfile_record *record, bool is_color);

/* A signal ended the program. */
void stop_text_crash(FILE *out, const struct reportfile_record *record, bool is_color);

/* One line each: an allocation was made to fail; what the program counted. */
void stop_text_fault(FILE *out, const struct reportfile_record *record);
void stop_text_counters(FILE *out, const struct reportfile_record *record);

#endif
