#include "units.h"

#include <stdio.h>

/* A way to shorten numbers: below `plain` they are written out, above they are divided by `base` per letter. */
struct units_scale {
    uint64_t plain;
    unsigned base;
};

static const struct units_scale units_of_bytes = {.plain = 1024, .base = 1024};
static const struct units_scale units_of_things = {.plain = 10000, .base = 1000};
static const char units_letters[] = "KMGTPE";

static void units_write(char out[UNITS_TEXT], const char *sign, uint64_t number, const struct units_scale *scale)
{
    if (number < scale->plain) {
        snprintf(out, UNITS_TEXT, "%s%llu", sign, (unsigned long long)number);
        return;
    }
    double value = (double)number / scale->base;
    unsigned letter = 0;
    /* 999.5 and more would be rounded to four digits, so it goes up to the next letter: 1.0M. */
    for (; value >= scale->base - 0.5 && units_letters[letter + 1] != '\0'; letter++)
        value /= scale->base;
    /* 9.95 and more would be rounded to 10.0. */
    snprintf(out, UNITS_TEXT, value < 9.95 ? "%s%.1f%c" : "%s%.0f%c", sign, value, units_letters[letter]);
}

static void units_write_change(char out[UNITS_TEXT], int64_t number, const struct units_scale *scale)
{
    uint64_t size = number < 0 ? -(uint64_t)number : (uint64_t)number;
    units_write(out, number < 0 ? "-" : number > 0 ? "+" : "", size, scale);
}

const char *units_bytes(char out[UNITS_TEXT], uint64_t bytes)
{
    units_write(out, "", bytes, &units_of_bytes);
    return out;
}

const char *units_count(char out[UNITS_TEXT], uint64_t count)
{
    units_write(out, "", count, &units_of_things);
    return out;
}

const char *units_change_bytes(char out[UNITS_TEXT], int64_t bytes)
{
    units_write_change(out, bytes, &units_of_bytes);
    return out;
}

const char *units_change_count(char out[UNITS_TEXT], int64_t count)
{
    units_write_change(out, count, &units_of_things);
    return out;
}
