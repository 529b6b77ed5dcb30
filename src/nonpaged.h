/*
 * Nonpaged memory: wired into RAM, bounded by RLIMIT_MEMLOCK, also for those whom the kernel does
 * not bound: the nonpaged pool is a limited resource.
 */
#ifndef TP_NONPAGED_H
#define TP_NONPAGED_H

#include "base.h"

/* Whole OS pages.  False: the pool is exhausted, and nothing changed. */
bool tp_nonpaged_lock(void *addr, size_t size);
void tp_nonpaged_unlock(void *addr, size_t size);

/*
 * The same without the wiring: for special pool, whose pages no lock can hold, since guards cannot lie in locked
 * memory.  They are populated and count.
 */
bool tp_nonpaged_charge(size_t size);
void tp_nonpaged_uncharge(size_t size);

/* Whether so much could be locked, for those whose preparations are dear; others may be faster. */
bool tp_nonpaged_has_room(size_t size);

#endif
