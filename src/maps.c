#include "maps.h"

#include <string.h>

/* The longest word that matters. */
#define MAPS_WORD 16u

/* The next character; -1: there are no more. */
static int maps_next_char(struct tp_maps *maps)
{
    if (maps->at == maps->end) {
        int length = maps->image->maps(maps->image, maps->buffer, sizeof(maps->buffer));
        maps->at = 0;
        maps->end = length > 0 ? (size_t)length : 0;
        if (length < 0)
            maps->error = length;
        if (length <= 0)
            return -1;
    }
    return (unsigned char)maps->buffer[maps->at++];
}

/* A hexadecimal number and what ends it, which is passed over. */
static uintptr_t maps_number(struct tp_maps *maps)
{
    uintptr_t number = 0;
    int c;
    while ((c = maps_next_char(maps)) != -1) {
        int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
        if (digit < 0)
            break;
        number = number << 4 | (uintptr_t)digit;
    }
    return number;
}

/* The beginning of the line's last word; the line is passed over. */
static void maps_last_word(struct tp_maps *maps, char word[MAPS_WORD])
{
    size_t length = 0;
    int c;
    while ((c = maps_next_char(maps)) != -1 && c != '\n') {
        if (c == ' ')
            length = 0;
        else if (length < MAPS_WORD - 1)
            word[length++] = (char)c;
    }
    word[length] = '\0';
}

bool tp_maps_next(struct tp_maps *maps, struct tp_mapping *mapping)
{
    char word[MAPS_WORD];
    mapping->from = maps_number(maps);
    mapping->to = maps_number(maps);
    mapping->is_readable = maps_next_char(maps) == 'r';
    mapping->is_writable = maps_next_char(maps) == 'w';
    maps_next_char(maps);
    mapping->is_private = maps_next_char(maps) == 'p';
    maps_last_word(maps, word);
    mapping->is_stack = strcmp(word, "[stack]") == 0;
    return mapping->to > mapping->from;
}
