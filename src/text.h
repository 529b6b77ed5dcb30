/*
 * Text put together where neither stdio nor memory may be used: reports and file names.  What does not fit is cut.
 */
#ifndef TP_TEXT_H
#define TP_TEXT_H

#include "base.h"

struct tp_text {
    char *at;
    size_t size;
    size_t length;
};

void tp_text_char(struct tp_text *text, char c);
void tp_text_add(struct tp_text *text, const char *s);
void tp_text_number(struct tp_text *text, uint64_t value);
/* 0x and at least this many upper-case digits. */
void tp_text_hex(struct tp_text *text, uint64_t value, int digits);
/* A tag's four characters, a dot for each that cannot be printed. */
void tp_text_tag(struct tp_text *text, uint32_t tag);

#endif
