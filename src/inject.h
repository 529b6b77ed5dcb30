/*
 * Faults on purpose: requests that a rule makes fail, by chance, by number, by site, after a while.
 */
#ifndef TP_INJECT_H
#define TP_INJECT_H

#include "site.h"

/* What a rule has counted, and since when it is in force. */
struct tp_inject {
    uint64_t since_ms;
    uint64_t requests_total; /* that it matched, after the delay */
};

/* A rule comes into force. */
void tp_inject_begin(struct tp_inject *inject);

/* Whether this request is to fail.  The same sequence of requests has the same fate in every run. */
bool tp_inject_decide(struct tp_inject *inject, const struct tagpool_segment_rule *rule, const struct tp_call *call);

/* A request is made to fail: the last one is remembered, with its stack. */
void tp_inject_note(uint32_t slot, size_t size, const struct tp_call *call);

/* The program dies, maybe of it: tell of the last one; false: there was none. */
bool tp_inject_tell_last(void);

/* A number that nobody can guess and everybody gets: for coins. */
uint32_t tp_inject_coin(uint32_t sides);

#endif
