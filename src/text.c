#include "text.h"

void tp_text_char(struct tp_text *text, char c)
{
    if (text->length < text->size)
        text->at[text->length++] = c;
}

void tp_text_add(struct tp_text *text, const char *s)
{
    while (*s != '\0')
        tp_text_char(text, *s++);
}

void tp_text_number(struct tp_text *text, uint64_t value)
{
    char digits[20];
    int n = 0;
    do {
        digits[n++] = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    while (n > 0)
        tp_text_char(text, digits[--n]);
}

void tp_text_hex(struct tp_text *text, uint64_t value, int digits)
{
    while (digits < 16 && value >> 4 * digits != 0)
        digits++;
    tp_text_add(text, "0x");
    for (int shift = (digits - 1) * 4; shift >= 0; shift -= 4)
        tp_text_char(text, "0123456789ABCDEF"[value >> shift & 15]);
}

void tp_text_tag(struct tp_text *text, uint32_t tag)
{
    for (int i = 0; i < 4; i++) {
        char c = (char)(tag >> 8 * i);
        tp_text_char(text, c >= 0x20 && c <= 0x7e ? c : '.');
    }
}
