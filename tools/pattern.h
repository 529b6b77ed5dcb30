/*
 * Patterns for tags and names, as the program itself reads them: `?` stands for one character, `*` for the rest.
 */
#ifndef PATTERN_H
#define PATTERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What the program has room for, with an end. */
#define PATTERN_TEXT 48

/* Whether a text is a pattern: not empty, without blanks and commas, and with `*` at its end alone. */
bool pattern_is_good(const char *text, size_t length);

bool pattern_fits(const char *pattern, const char *name);

/* Whether a tag fits, with or without the blanks that fill it up. */
bool pattern_fits_tag(const char *pattern, uint32_t tag);

#endif
