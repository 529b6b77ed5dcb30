/*
 * Words for the numbers in records, the same in text and JSON.
 */
#ifndef STOP_WORDS_H
#define STOP_WORDS_H

#include <stdint.h>

enum stop_words {
    STOP_WORD_RECORD,
    STOP_WORD_ACCESS,
    STOP_WORD_KEEPER,
    STOP_WORD_STATE,
    STOP_WORD_FACE,
    STOP_WORD_LEAK,
    STOP_WORD_SETS,
};

/* NULL: there is none for it. */
const char *stop_word(enum stop_words set, uint32_t number);

#endif
