/*
 * The first call: the engine is built in one go, from whatever context that call comes, before constructors have run.
 */
#ifndef TP_START_H
#define TP_START_H

#include "base.h"

/* Once; returns at once afterwards.  Ends the program with a clear line if there is no address space at all. */
void tp_start(void);

/*
 * Constructors have run: as soon as the engine is there its segment gets a name, and fork its handlers.  A program that
 * never allocates never pays for either.
 */
void tp_start_may_publish(void);

/* The program ends by itself: what is still out is looked at, and the accounts' name is taken away. */
void tp_start_end(void);

#endif
