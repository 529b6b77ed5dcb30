#include "pattern.h"

#include <string.h>

bool pattern_is_good(const char *text, size_t length)
{
    if (length == 0 || length >= PATTERN_TEXT)
        return false;
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)text[i] <= ' ' || text[i] == 0x7f || text[i] == ',' || (text[i] == '*' && i + 1 != length))
            return false;
    return true;
}

bool pattern_fits(const char *pattern, const char *name)
{
    for (; *pattern != '\0'; pattern++, name++) {
        if (*pattern == '*')
            return true;
        if (*name == '\0' || (*pattern != '?' && *pattern != *name))
            return false;
    }
    return *name == '\0';
}

bool pattern_fits_tag(const char *pattern, uint32_t tag)
{
    char text[sizeof(tag) + 1] = "";
    memcpy(text, &tag, sizeof(tag));
    for (size_t i = sizeof(tag) - 1; i > 0 && text[i] == ' '; i--)
        text[i] = '\0';
    return pattern_fits(pattern, text);
}
