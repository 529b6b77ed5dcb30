/*
 * A library that allocates through others: each function makes `count` blocks for it and frees some.
 */
#ifndef TEST_WORDS_H
#define TEST_WORDS_H

#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

#define WORDS_EXPORT __attribute__((visibility("default")))

WORDS_EXPORT int WORDS_NAME(strdup)(int count);               /* frees every second */
WORDS_EXPORT int WORDS_NAME(getline)(int count, FILE *lines); /* frees all */
WORDS_EXPORT int WORDS_NAME(g_strdup)(int count);             /* frees every third; 0 blocks without GLib */
WORDS_EXPORT int WORDS_NAME(string)(int count);               /* objects of two blocks each, frees every fourth */

#ifdef __cplusplus
}
#endif

#endif
