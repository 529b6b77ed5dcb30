/*
 * Shortcut: watched and tracked blocks for known callers, without the questions that are answered for them.
 *
 * Where one rule, or several alike, ask for the same treatment of all requests of a tag, whatever their size, nothing
 * is left to decide but what class and page; and a block that its own thread frees needs nobody else.  All else, and
 * whatever is out of the ordinary, goes the long way (alloc.c), which does the same and more.
 */
#ifndef TP_SHORTCUT_H
#define TP_SHORTCUT_H

#include "checked.h"

/* A block for a caller whom the gate's table knows by this key; NULL: go the long way. */
void *tp_shortcut_alloc(uint64_t key, size_t size, enum tagpool_report_face face, struct tp_call call);

/* End a block, as tp_free_called; false: go the long way. */
bool tp_shortcut_free(void *block, enum tagpool_report_face face, size_t size, struct tp_call call);

#endif
