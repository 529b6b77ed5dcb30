/*
 * Text in files of words apart by blanks: blanks, backslashes and what cannot be printed become "\x20".
 */
#ifndef ESCAPE_H
#define ESCAPE_H

#include <stdio.h>

/* Empty text becomes "-", and "-" is escaped. */
void escape_put(FILE *out, const char *text);

/* The text that a word stands for, in memory of the caller's. */
char *escape_read(const char *word);

#endif
