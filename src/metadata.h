/*
 * The engine's own small allocations: heaps, side arrays, tables.  Powers of two from a bump pointer, kept on a list
 * a size when given back; never returned to the system.
 */
#ifndef TP_METADATA_H
#define TP_METADATA_H

#include "base.h"

/* Zero-filled, aligned to 64 bytes; NULL when memory is exhausted. */
void *tp_metadata_alloc(size_t size);
void tp_metadata_free(void *p, size_t size);

/* So much more memory serves the engine itself; and all of it. */
void tp_metadata_count(size_t bytes);
size_t tp_metadata_bytes(void);

/* In a forked child whose parent may have been in here: forget what was on the lists. */
void tp_metadata_reset(void);

#endif
