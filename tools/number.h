/*
 * Numbers that people write.
 */
#ifndef NUMBER_H
#define NUMBER_H

#include <stdbool.h>
#include <stdint.h>

/* A whole number up to `most`, which ends at one of `ends` (or with the text); *text is then behind it. */
bool number_read(const char **text, const char *ends, uint64_t most, uint64_t *number);

/* The same to the end of the text: decimal, or hexadecimal after 0x, octal after 0o, binary after 0b. */
bool number_read_any(const char *text, uint64_t most, uint64_t *number);

/* A time to milliseconds: plain, or with ms, s or m behind it. */
bool number_read_time(const char *text, uint64_t *ms);

/* Bytes, plain or with K, M, G or T behind them, by powers of 1024; ends as number_read. */
bool number_read_bytes(const char **text, const char *ends, uint64_t *bytes);

#endif
