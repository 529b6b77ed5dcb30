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

void tp_checked_stop_unless_match(const void *p, uint32_t slot, size_t size, unsigned made_by,
                                  const struct tp_checked_free *how)
{
    uint32_t tag = tp_tags[slot].tag;
    if (TP_UNLIKELY(!checked_faces_match(made_by, how->face)))
        tp_stop(TP_CALLER_WRONG_FACE, (uintptr_t)p, checked_face_tag(made_by), checked_face_tag(how->face), p, tag);
    if (TP_UNLIKELY(how->size != TP_SIZE_UNTOLD && how->size != size))
        tp_stop(TP_CALLER_WRONG_SIZE, (uintptr_t)p, how->size, size, p, tag);
}

void tp_checked_fill(char *from, const char *to, uint8_t pattern)
{
    memset(from, pattern, (size_t)(to - from));
}

static uint64_t checked_word(uint8_t pattern)
{
    return pattern * UINT64_C(0x0101010101010101);
}

const char *tp_checked_find_change(const char *from, const char *to, uint8_t pattern)
{
    uint64_t expected = checked_word(pattern), word;
    for (; to - from >= (ptrdiff_t)sizeof(word); from += sizeof(word)) {
        memcpy(&word, from, sizeof(word));
        if (TP_UNLIKELY(word != expected))
            break;
    }
    for (; from < to; from++)
        if (TP_UNLIKELY(*(const uint8_t *)from != pattern))
            return from;
    return NULL;
}
