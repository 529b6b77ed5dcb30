#include "label.h"

#include <stdlib.h>
#include <string.h>
#include <wchar.h>
#include <wctype.h>

/* The next character of text: bytes it takes (at least 1) and columns (0: not to be printed as it is). */
static size_t label_next(const char *text, size_t length, size_t *columns)
{
    wchar_t c;
    mbstate_t state;
    memset(&state, 0, sizeof(state));
    size_t bytes = mbrtowc(&c, text, length, &state);
    *columns = 0;
    if (bytes == 0 || bytes > length) /* NUL, or (size_t)-1, -2: not a character of this locale */
        return 1;
    int width = iswprint((wint_t)c) ? wcwidth(c) : 0;
    *columns = width > 0 ? (size_t)width : 0;
    return bytes;
}

const char *label_tag(char out[LABEL_TAG], uint32_t tag)
{
    memcpy(out, &tag, sizeof(tag));
    for (int i = 0; i < 4; i++)
        if (out[i] < 0x20 || out[i] > 0x7e)
            out[i] = '.';
    out[4] = '\0';
    return out;
}

void label_clean(char *out, size_t size, const char *text, size_t length)
{
    size_t end = strnlen(text, length), to = 0;
    for (size_t from = 0; from < end;) {
        size_t columns;
        size_t bytes = label_next(text + from, end - from, &columns);
        size_t room = columns != 0 ? bytes : 1;
        if (to + room + 1 > size)
            break;
        if (columns != 0)
            memcpy(out + to, text + from, bytes);
        else
            out[to] = '?';
        to += room;
        from += bytes;
    }
    out[to] = '\0';
}

size_t label_width(const char *text)
{
    size_t width = 0, length = strlen(text);
    for (size_t at = 0; at < length;) {
        size_t columns;
        at += label_next(text + at, length - at, &columns);
        width += columns;
    }
    return width;
}

void label_put(FILE *out, const char *text, size_t columns)
{
    size_t width = 0, length = strlen(text), at = 0;
    size_t room = label_width(text) <= columns ? columns : columns - 1;
    while (at < length) {
        size_t wide;
        size_t bytes = label_next(text + at, length - at, &wide);
        if (width + wide > room)
            break;
        fwrite(text + at, 1, bytes, out);
        width += wide;
        at += bytes;
    }
    if (at < length) {
        fputc('~', out);
        width++;
    }
    for (; width < columns; width++)
        fputc(' ', out);
}
