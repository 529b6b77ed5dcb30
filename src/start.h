/*
 * The first call: the engine is built in one go, from whatever context that call comes, before constructors have run.
 */
#ifndef TP_START_H
#define TP_START_H

#include "base.h"

/* Once; returns at once afterwards.  Ends the program with a clear line if there is no address space at all. */
void tp_start(void);

/* Both by the constructors of either build: fork handlers, and a name for the segment. */
void tp_start_publish(void);

#endif
