/*
 * How many blocks the store of a lookaside list may hold: by demand, looked at once a second, or sooner where a list
 * misses much.
 */
#ifndef TP_DEPTH_H
#define TP_DEPTH_H

#include "store.h"

void tp_depth_set(struct tp_lookaside *state, uint32_t depth);

/* A slow call of this list: the `calls`-th of its thread. */
void tp_depth_tick(struct tp_lookaside *state, uint32_t calls);

/* Look at all lists now. */
void tp_depth_scan_all(uint64_t now);

#endif
