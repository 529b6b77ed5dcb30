/*
 * A record as one line of JSON.
 */
#ifndef STOP_JSON_H
#define STOP_JSON_H

#include "reportfile.h"

#include <stdio.h>

void stop_json_record(FILE *out, const struct reportfile_record *record);

#endif
