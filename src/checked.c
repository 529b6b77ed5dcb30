#include "checked.h"

#include <string.h>

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
