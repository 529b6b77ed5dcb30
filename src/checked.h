/*
 * Checked blocks: what the verifier keeps, in special pool (special.h) or on watched pages (watch.h).
 */
#ifndef TP_CHECKED_H
#define TP_CHECKED_H

#include "site.h"
#include "trace.h"

#include <string.h>
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
void tp_checked_stop_unless_like(const void *p, uint32_t slot, size_t size, unsigned made_by,
                                 const struct tp_checked_free *how);

TP_INLINE void tp_checked_stop_unless_match(const void *p, uint32_t slot, size_t size, unsigned made_by,
                                            const struct tp_checked_free *how)
{
    if (TP_UNLIKELY(made_by != how->face || how->size != TP_SIZE_UNTOLD))
        tp_checked_stop_unless_like(p, slot, size, made_by, how);
}

/* Sixteen bytes at once; not aligned. */
typedef uint64_t tp_checked_vector __attribute__((vector_size(16), aligned(1), may_alias));

typedef uint64_t tp_checked_word __attribute__((aligned(1), may_alias));

/* Runs up to this length are filled and looked at in place. */
#define TP_CHECKED_SHORT 160u

TP_INLINE tp_checked_vector tp_checked_expect(uint8_t pattern)
{
    uint64_t word = pattern * UINT64_C(0x0101010101010101);
    return (tp_checked_vector){word, word};
}

/* Bytes that the program has no business with. */
TP_INLINE void tp_checked_fill(char *from, const char *to, uint8_t pattern)
{
    memset(from, pattern, (size_t)(to - from));
}

/* The same of eight bytes or more. */
TP_INLINE void tp_checked_fill_run(char *from, char *to, uint8_t pattern)
{
    if (TP_UNLIKELY(to - from > (ptrdiff_t)TP_CHECKED_SHORT)) {
        tp_checked_fill(from, to, pattern);
        return;
    }
    if (to - from < 16) {
        *(tp_checked_word *)from = *(tp_checked_word *)(to - 8) = pattern * UINT64_C(0x0101010101010101);
        return;
    }
    tp_checked_vector value = tp_checked_expect(pattern);
    *(tp_checked_vector *)(to - 16) = value; /* overlaps the one before it */
    for (; to - from > 16; from += 16)
        *(tp_checked_vector *)from = value;
}

/* The first byte that is not as filled; NULL: all are. */
const char *tp_checked_find_change(const char *from, const char *to, uint8_t pattern);

/* Whether there is none in a run of eight bytes or more; false: look for it. */
TP_INLINE bool tp_checked_is_whole(const char *from, const char *to, uint8_t pattern)
{
    if (TP_UNLIKELY(to - from > (ptrdiff_t)TP_CHECKED_SHORT))
        return false;
    if (to - from < 16) {
        uint64_t word = pattern * UINT64_C(0x0101010101010101);
        return ((*(const tp_checked_word *)from ^ word) | (*(const tp_checked_word *)(to - 8) ^ word)) == 0;
    }
    tp_checked_vector expected = tp_checked_expect(pattern);
    tp_checked_vector differs = *(const tp_checked_vector *)(to - 16) ^ expected;
    for (; to - from > 16; from += 16)
        differs |= *(const tp_checked_vector *)from ^ expected;
    return (differs[0] | differs[1]) == 0;
}

#endif
