/*
 * The end of a block, whichever kind it is of.  The slow half of all faces; the fast one is in fast.h.
 */
#ifndef TP_FREE_H
#define TP_FREE_H

#include "site.h"

#include <tagpool/report.h>

/*
 * Free a block the fast path did not take, NULL included; by which function, what size it was told, and who called it.
 * Keeps errno.  Stops on what is not a live block.
 */
void tp_free_called(void *block, enum tagpool_report_face face, size_t size, struct tp_call call);

/* The same of the engine's own. */
void tp_free_slow(void *block);

#endif
