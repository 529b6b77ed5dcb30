/*
 * Text without stdio: each kind of part, and the cut at the end of the buffer.
 */
#include "unit.h"

#include "text.h"

#include <stdio.h>
#include <string.h>

static char buffer[64];

static struct tp_text text_begin(size_t size)
{
    memset(buffer, '#', sizeof(buffer));
    return (struct tp_text){.at = buffer, .size = size};
}

static const char *text_end(struct tp_text *text)
{
    buffer[text->length] = '\0';
    return buffer;
}

START_TEST(numbers)
{
    static const uint64_t values[] = {0, 1, 9, 10, 1234567890, UINT64_MAX};
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        char expected[32];
        snprintf(expected, sizeof(expected), "%llu", (unsigned long long)values[i]);
        struct tp_text text = text_begin(sizeof(buffer) - 1);
        tp_text_number(&text, values[i]);
        ck_assert_str_eq(text_end(&text), expected);
    }
}
END_TEST

START_TEST(hex_has_at_least_its_digits)
{
    static const struct {
        uint64_t value;
        int digits;
        const char *expected;
    } rows[] = {
        {0, 1, "0x0"},
        {0xC2, 8, "0x000000C2"},
        {0xABCDEF, 1, "0xABCDEF"},
        {0x123456789, 4, "0x123456789"},
        {UINT64_MAX, 16, "0xFFFFFFFFFFFFFFFF"},
        {UINT64_MAX, 1, "0xFFFFFFFFFFFFFFFF"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct tp_text text = text_begin(sizeof(buffer) - 1);
        tp_text_hex(&text, rows[i].value, rows[i].digits);
        ck_assert_str_eq(text_end(&text), rows[i].expected);
    }
}
END_TEST

START_TEST(tags_show_what_can_be_printed)
{
    struct tp_text text = text_begin(sizeof(buffer) - 1);
    tp_text_tag(&text, 0x6e6e6f43);
    tp_text_tag(&text, 0x7f011f20);
    tp_text_tag(&text, 0xff7e0020);
    ck_assert_str_eq(text_end(&text), "Conn ... .~.");
}
END_TEST

START_TEST(what_does_not_fit_is_cut)
{
    struct tp_text text = text_begin(5);
    tp_text_add(&text, "abc");
    tp_text_number(&text, 12345);
    tp_text_hex(&text, 1, 16);
    tp_text_char(&text, 'x');
    ck_assert_uint_eq(text.length, 5);
    ck_assert_int_eq(buffer[5], '#');
    ck_assert_str_eq(text_end(&text), "abc12");
}
END_TEST

UNIT_MAIN("text", numbers, hex_has_at_least_its_digits, tags_show_what_can_be_printed, what_does_not_fit_is_cut)
