/*
 * Numbers for people: at most five characters, 0 512 1.5K 912M 1.2G.
 */
#ifndef UNITS_H
#define UNITS_H

#include <stdint.h>

/* More than any result takes: the compiler does not see that large numbers are shortened. */
#define UNITS_TEXT 24

/* Bytes, by powers of 1024. */
const char *units_bytes(char out[UNITS_TEXT], uint64_t bytes);

/* Things, by powers of 1000; up to 9999 they are written out. */
const char *units_count(char out[UNITS_TEXT], uint64_t count);

/* The same with a sign: +1.5K, -12, 0. */
const char *units_change_bytes(char out[UNITS_TEXT], int64_t bytes);
const char *units_change_count(char out[UNITS_TEXT], int64_t count);

#endif
