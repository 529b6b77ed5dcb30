#include "number.h"

#include <string.h>

static bool number_ends(const char *at, const char *ends)
{
    return *at == '\0' || strchr(ends, *at) != NULL;
}

bool number_read(const char **text, const char *ends, uint64_t most, uint64_t *number)
{
    const char *at = *text;
    for (*number = 0; *at >= '0' && *at <= '9'; at++) {
        uint64_t digit = (uint64_t)(*at - '0');
        if (digit > most || *number > (most - digit) / 10)
            return false;
        *number = 10 * *number + digit;
    }
    bool is_good = at > *text && number_ends(at, ends);
    *text = at;
    return is_good;
}

static bool number_read_based(const char *text, unsigned base, uint64_t most, uint64_t *number)
{
    static const char digits[] = "0123456789abcdef";
    const char *at = text;
    for (*number = 0; *at != '\0'; at++) {
        const char *found = strchr(digits, *at >= 'A' && *at <= 'F' ? *at - 'A' + 'a' : *at);
        if (found == NULL || (unsigned)(found - digits) >= base)
            return false;
        uint64_t digit = (uint64_t)(found - digits);
        if (digit > most || *number > (most - digit) / base)
            return false;
        *number = base * *number + digit;
    }
    return at > text;
}

bool number_read_any(const char *text, uint64_t most, uint64_t *number)
{
    static const struct {
        char letter;
        unsigned base;
    } rows[] = {{'x', 16}, {'o', 8}, {'b', 2}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (text[0] == '0' && (text[1] | 0x20) == rows[i].letter)
            return number_read_based(text + 2, rows[i].base, most, number);
    return number_read_based(text, 10, most, number);
}

bool number_read_time(const char *text, uint64_t *ms)
{
    static const struct {
        const char *unit;
        uint64_t ms;
    } units[] = {{"", 1}, {"ms", 1}, {"s", 1000}, {"m", 60000}};
    if (!number_read(&text, "ms", UINT32_MAX, ms))
        return false;
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
        if (strcmp(text, units[i].unit) == 0) {
            *ms *= units[i].ms;
            return *ms <= UINT32_MAX;
        }
    return false;
}

bool number_read_bytes(const char **text, const char *ends, uint64_t *bytes)
{
    static const char letters[] = "KMGT";
    const char *end = *text + strspn(*text, "0123456789");
    const char *letter = *end != '\0' ? strchr(letters, *end) : NULL;
    unsigned shift = letter != NULL ? 10 * (unsigned)(letter - letters + 1) : 0;
    if (!number_read(text, letter != NULL ? letters : ends, INT64_MAX >> shift, bytes))
        return false;
    *bytes <<= shift;
    *text += letter != NULL;
    return number_ends(*text, ends);
}
