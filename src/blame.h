/*
 * Blame: which block an address has to do with, whatever is kept there, and what is known of it.
 */
#ifndef TP_BLAME_H
#define TP_BLAME_H

#include "special.h"

struct tp_blame {
    const char *block;
    size_t size; /* as requested; of ordinary blocks, block bytes */
    uint32_t slot;
    enum tagpool_report_keeper keeper;
    enum tagpool_report_state state;
    uint8_t face;
    uint32_t alloc_stack, free_stack;
    uint32_t alloc_thread, free_thread;
    uintptr_t readable_from, readable_to; /* around it */
    const struct tp_special *special;     /* or NULL */
};

/* The block that an address lies in, or next to; false: none.  Reads what may be changing, and nothing that faults. */
bool tp_blame_find(struct tp_blame *blame, const void *address);

#endif
