/*
 * Names that come from other processes, made fit for a terminal: no control characters, a known width.
 */
#ifndef LABEL_H
#define LABEL_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define LABEL_TAG 5

/* Four characters in memory order, what is not printable ASCII as '.'. */
const char *label_tag(char out[LABEL_TAG], uint32_t tag);

/* Copy at most `length` bytes of text (it may end earlier), '?' for all that this terminal cannot print. */
void label_clean(char *out, size_t size, const char *text, size_t length);

/* Columns on the terminal. */
size_t label_width(const char *text);

/* Write text in exactly `columns` columns: filled up with blanks, or cut with a '~' at its end. */
void label_put(FILE *out, const char *text, size_t columns);

#endif
