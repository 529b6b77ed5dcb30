/*
 * The table of rules as data: which row a stop was made from, and its words.
 */
#ifndef STOPRULE_H
#define STOPRULE_H

#include <stdint.h>
#include <tagpool/report.h>

struct stoprule {
    const char *name;
    uint32_t code;
    unsigned constant_at;
    uint64_t constant;
    const char *meanings[4];
    const char *sentence;
    const char *advice;
};

/* The row; NULL when a newer library has one that we do not know. */
const struct stoprule *stoprule_find(const struct tagpool_report_stop *stop);

/* The name of a stop code, as the original has it. */
const char *stoprule_code_name(uint32_t code);

#endif
