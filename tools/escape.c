#include "escape.h"
#include "memory.h"

#include <string.h>

static int escape_is_plain(unsigned char byte)
{
    return byte > ' ' && byte != '\\' && byte != 0x7f;
}

void escape_put(FILE *out, const char *text)
{
    if (text[0] == '\0') {
        fputc('-', out);
        return;
    }
    int is_dash = strcmp(text, "-") == 0;
    for (; *text != '\0'; text++) {
        if (escape_is_plain((unsigned char)*text) && !is_dash)
            fputc(*text, out);
        else
            fprintf(out, "\\x%02x", (unsigned char)*text);
    }
}

static int escape_digit(char digit)
{
    const char *digits = "0123456789abcdef";
    const char *found = digit != '\0' ? strchr(digits, digit) : NULL;
    return found != NULL ? (int)(found - digits) : -1;
}

char *escape_read(const char *word)
{
    char *text = memory_copy_text(strcmp(word, "-") == 0 ? "" : word), *to = text;
    for (const char *from = text; *from != '\0'; from++) {
        int high = strncmp(from, "\\x", 2) == 0 ? escape_digit(from[2]) : -1;
        int low = high >= 0 ? escape_digit(from[3]) : -1;
        if (low >= 0 && 16 * high + low != 0) {
            *to++ = (char)(16 * high + low);
            from += 3;
        } else {
            *to++ = *from;
        }
    }
    *to = '\0';
    return text;
}
