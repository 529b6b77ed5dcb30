#include "unit.h"

#include "site.h"

#include <stdio.h>
#include <string.h>

enum { TAGS = 1000 };

static uint32_t tag_of(const char *text)
{
    uint32_t tag;
    memcpy(&tag, text, sizeof(tag));
    return tag;
}

/* How many of a thousand tags find a place in the table beside each other. */
static unsigned places_of(const char *format)
{
    static unsigned char taken[TP_GATE_SETS];
    unsigned found = 0;
    memset(taken, 0, sizeof(taken));
    for (int i = 0; i < TAGS; i++) {
        char text[16];
        snprintf(text, sizeof(text), format, i);
        uint64_t value = tp_site_tag_value(tag_of(text), TP_LAYOUT_PAGED);
        found += taken[value % TP_GATE_SETS]++ < TP_GATE_WAYS;
    }
    return found;
}

START_TEST(tags_that_differ_anywhere_spread_over_the_table)
{
    static const char *const formats[] = {"T%03d", "%03dT", "%03x!", "a%03X"};
    for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++)
        ck_assert_uint_ge(places_of(formats[i]), TAGS * 80 / 100);
}
END_TEST

START_TEST(no_two_tags_have_the_same_value)
{
    static const char *const texts[] = {"Conn", "conN", "nnoC", "    ", "~~~~", "Con ", " Con"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        for (size_t j = 0; j < i; j++)
            ck_assert_uint_ne(tp_site_tag_value(tag_of(texts[i]), TP_LAYOUT_PAGED),
                              tp_site_tag_value(tag_of(texts[j]), TP_LAYOUT_PAGED));
    ck_assert_uint_ne(tp_site_tag_value(tag_of("Conn"), TP_LAYOUT_PAGED),
                      tp_site_tag_value(tag_of("Conn"), TP_LAYOUT_NONPAGED));
}
END_TEST

UNIT_MAIN("site", tags_that_differ_anywhere_spread_over_the_table, no_two_tags_have_the_same_value)
