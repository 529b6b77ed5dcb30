/*
 * A record of a report in the making: items one behind the other, then the libraries that its frames lie in.
 */
#ifndef TP_RECORD_H
#define TP_RECORD_H

#include "base.h"

#include <tagpool/report.h>

/* Libraries that the frames of one record name. */
#define TP_RECORD_MODULES 64u

struct tp_record {
    char *at;
    size_t used;
    size_t size;
    uint32_t module_count;
    const void *modules[TP_RECORD_MODULES]; /* link maps */
};

/* Begin one, in the only place there is; false: nobody listens (no TAGPOOL_REPORT), or one is being made. */
bool tp_record_begin(struct tp_record *record, enum tagpool_report_kind kind);

/* Add an item of two parts.  What does not fit is left out. */
void tp_record_add(struct tp_record *record, enum tagpool_report_item_type type, const void *head, size_t head_size,
                   const void *tail, size_t tail_size);

/* Add a stack; `exact`: its innermost frame is an instruction, not a return address. */
void tp_record_add_stack(struct tp_record *record, enum tagpool_report_stack_role role, const uintptr_t *frames,
                         unsigned count, bool exact);

/* How many frames at the beginning are this library's own. */
unsigned tp_record_own_frames(const uintptr_t *frames, unsigned count);

/* Append it to the file; false: it was not possible. */
bool tp_record_finish(struct tp_record *record);

#endif
