/*
 * Pieces of JSON, written by hand.  Names come from other processes and may hold any bytes: what comes out is valid.
 */
#ifndef JSON_H
#define JSON_H

#include <stdint.h>
#include <stdio.h>

/* In quotes; bytes that are no UTF-8 become U+FFFD. */
void json_put_text(FILE *out, const char *text);

/* Tags are bytes, not text: those above 0x7f are written as the characters U+0080 to U+00FF, so that none is lost. */
void json_put_tag(FILE *out, uint32_t tag);

/* Each begins with the comma that parts it from what is before: ,"key":value */
void json_put_number(FILE *out, const char *key, uint64_t number);
void json_put_word(FILE *out, const char *key, const char *text); /* NULL: null */

/* A number that may be larger than other readers' integers, or is read as an address: "0x7f00". */
void json_put_hex(FILE *out, const char *key, uint64_t number);

#endif
