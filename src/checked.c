#include "checked.h"

#include <string.h>

/* The words that a report uses for faces. */
static uint32_t checked_face_tag(unsigned face)
{
    static const char names[5][5] = {"????", "MALL", "NEW ", "NEW[", "POOL"};
    uint32_t tag;
    memcpy(&tag, names[face < 5 ? face : 0], sizeof(tag));
    return tag;
}

/*
 * Whether a block of one function may be freed by another.  Blocks of the API and of malloc may change hands; what new
 * made, in one of its two forms, may not.
 */
static bool checked_faces_match(unsigned made_by, unsigned freed_by)
{
    bool is_new = made_by == TAGPOOL_REPORT_NEW || made_by == TAGPOOL_REPORT_NEW_ARRAY;
    bool is_delete = freed_by == TAGPOOL_REPORT_NEW || freed_by == TAGPOOL_REPORT_NEW_ARRAY;
    return made_by == freed_by || made_by == 0 || freed_by == 0 || (!is_new && !is_delete);
}

void tp_checked_stop_unless_like(const void *p, uint32_t slot, size_t size, unsigned made_by,
                                 const struct tp_checked_free *how)
{
    uint32_t tag = tp_tags[slot].tag;
    if (TP_UNLIKELY(!checked_faces_match(made_by, how->face)))
        tp_stop(TP_CALLER_WRONG_FACE, (uintptr_t)p, checked_face_tag(made_by), checked_face_tag(how->face), p, tag);
    if (TP_UNLIKELY(how->size != TP_SIZE_UNTOLD && how->size != size))
        tp_stop(TP_CALLER_WRONG_SIZE, (uintptr_t)p, how->size, size, p, tag);
}

static bool checked_vectors_differ(const char *at, tp_checked_vector expected, size_t count)
{
    tp_checked_vector differs = {0};
    for (size_t i = 0; i < count; i++)
        differs |= ((const tp_checked_vector *)at)[i] ^ expected;
    return (differs[0] | differs[1]) != 0;
}

static const char *checked_find_byte(const char *from, const char *to, uint8_t pattern)
{
    while (from < to && *(const uint8_t *)from == pattern)
        from++;
    return from < to ? from : NULL;
}

/* The last vector overlaps the one before it. */
const char *TP_RACES tp_checked_find_change(const char *from, const char *to, uint8_t pattern)
{
    const tp_checked_vector expected = tp_checked_expect(pattern);
    const char *at = from;
    if (to - from < 16)
        return checked_find_byte(from, to, pattern);
    for (; to - at > 64; at += 64)
        if (TP_UNLIKELY(checked_vectors_differ(at, expected, 4)))
            return checked_find_byte(at, to, pattern);
    for (; to - at > 16; at += 16)
        if (TP_UNLIKELY(checked_vectors_differ(at, expected, 1)))
            return checked_find_byte(at, to, pattern);
    return TP_LIKELY(!checked_vectors_differ(to - 16, expected, 1)) ? NULL : checked_find_byte(to - 16, to, pattern);
}
