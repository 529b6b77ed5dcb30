/*
 * Memory of the tools themselves.  Where there is none left, they say so and end with status 1.
 */
#ifndef MEMORY_H
#define MEMORY_H

#include <stddef.h>

/* Zeroed; never NULL. */
void *memory_alloc(size_t count, size_t size);

/* Make room for one more item in a growing array that holds `count`; doubles at powers of two. */
void *memory_grow(void *items, size_t count, size_t size);

char *memory_copy_text(const char *text);

/* printf into memory of its own. */
char *memory_format(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
