/*
 * Checked blocks: what the verifier keeps, in special pool (special.h) or on watched pages (watch.h).
 */
#ifndef TP_CHECKED_H
#define TP_CHECKED_H

#include "site.h"
#include "trace.h"

#include <tagpool/report.h>

struct tp_checked_request {
    uint32_t slot;
    uint32_t account; /* quota account that was charged, or TP_ACCOUNT_NONE */
    size_t size;
    size_t alignment; /* a power of two */
    enum tagpool_report_face face;
    const struct tp_call *call;
    enum tp_trace_level trace;
    bool zero;
    bool bare;  /* watched pages: remember who allocated, and check nothing */
    bool under; /* special pool: the block begins where its page does, so that underruns are stopped */
    bool exact; /* special pool: the block ends where its page does, aligned or not */
};

/* A checked block is freed: by which function, who called it. */
struct tp_checked_free {
    enum tagpool_report_face face; /* 0: the engine itself */
    const struct tp_call *call;
    size_t size; /* what the function was told, or TP_SIZE_UNTOLD */
};

/* Bytes that a checked block counts for: what it takes where it lies is the verifier's. */
TP_INLINE size_t tp_checked_bytes(size_t size)
{
    return tp_round_up(tp_max(size, 1), size <= TP_CLASS_MAX_SIZE ? 16 : TP_OS_PAGE);
}

/* A thread's number for the report; 0: not known. */
TP_INLINE uint32_t tp_checked_thread(const struct tp_thread *thread)
{
    return thread != NULL ? thread->kernel_id : 0;
}

/* A stop where the block p, as it was made, is not what it is freed as. */
void tp_checked_stop_unless_match(const void *p, uint32_t slot, size_t size, unsigned made_by,
                                  const struct tp_checked_free *how);

/* Bytes that the program has no business with. */
void tp_checked_fill(char *from, const char *to, uint8_t pattern);

/* The first byte that is not as filled; NULL: all are. */
const char *tp_checked_find_change(const char *from, const char *to, uint8_t pattern);

#endif
