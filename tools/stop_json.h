/*
 * A record as one line of JSON: every field that it has, and for each frame what is known of its place.
 *
 * {"kind":"stop"|"leak"|"fault"|"end"|"unknown","pid":N,"program":S,"time_ns":N, and then, as far as it is there,
 *  "stop":{"thread":N,"code":N,"code_name":S,"rule":S|null,"sentence":S|null,"advice":S|null,"parameters":[HEX,4],
 *    "meanings":[S,4]|null,"address":HEX,"access":"read"|"write"|null},
 *  "block":{"address":HEX,"size":N,"offset":N,"tag":S,"name":S,"type":"Paged"|"Nonp","keeper":S|null,"state":S|null,
 *    "allocated_by":S|null,"alloc_thread":N,"free_thread":N},
 *  "leak":{"class":"lost"|"possibly lost"|"reachable"|null,"tag":S,"name":S,"blocks":N,"bytes":N},
 *  "fault":{"tag":S,"size":N,"stack_hash":HEX}, "counters":{NAME:N,...},
 *  "stacks":{"here"|"alloc"|"free":[FRAME,...]}, "bytes":[{"address":HEX,"hex":S},...]}
 *
 * FRAME is {"pc":HEX,"module":S|null,"offset":HEX,"function":S|null,"within":N,"file":S|null,"line":N,"inlined":BOOL},
 * innermost first; inlined ones share the pc of the frame behind them.  HEX is a string "0x7f00".
 */
#ifndef STOP_JSON_H
#define STOP_JSON_H

#include "reportfile.h"

#include <stdio.h>

void stop_json_record(FILE *out, const struct reportfile_record *record);

#endif
