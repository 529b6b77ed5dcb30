/*
 * Words of TAGPOOL_VERIFY: what each does, what is left out, and patterns.
 */
#include "unit.h"

#include "settings.h"

#include <string.h>

static struct tp_settings settings;

static void read_words(const char *words)
{
    memset(&settings, 0, sizeof(settings));
    tp_settings_read(&settings, words);
}

/* The only rule that the words make. */
static const struct tagpool_segment_rule *rule_of(const char *words)
{
    read_words(words);
    ck_assert_msg(settings.count == 1, "%s: %u rules", words, settings.count);
    return &settings.rules[0];
}

static void must_be_nothing(const char *words)
{
    static const struct tp_settings none;
    read_words(words);
    ck_assert_msg(memcmp(&settings, &none, sizeof(none)) == 0, "%s", words);
}

/* --- one word ------------------------------------------------------------------------------------------------- */

enum {
    WATCH = TAGPOOL_SEGMENT_RULE_WATCH,
    SPECIAL = TAGPOOL_SEGMENT_RULE_SPECIAL,
    AUTO = TAGPOOL_SEGMENT_RULE_AUTO,
    TRACK = TAGPOOL_SEGMENT_RULE_TRACK,
    FAIL = TAGPOOL_SEGMENT_RULE_FAIL,
    EXACT = TAGPOOL_SEGMENT_RULE_EXACT,
    UNDER = TAGPOOL_SEGMENT_RULE_UNDER,
    MIXED = TAGPOOL_SEGMENT_RULE_MIXED,
};

START_TEST(words_are_flags)
{
    static const struct {
        const char *words;
        uint32_t flags;
        uint32_t one_in;
    } cases[] = {
        {"special=all", SPECIAL | WATCH, 1},
        {"special=auto", AUTO | WATCH, 0},
        {"special=sample:7", SPECIAL, 7},
        {"special=sample:0", SPECIAL, 1},
        {"special=sample:99999999999", SPECIAL, UINT32_MAX},
        {"track", TRACK, 0},
        {"watch", WATCH, 0},
        {"leaks", TRACK, 0},
        {"leaks=full", TRACK, 0},
        {"special=all exact", SPECIAL | WATCH | EXACT, 1},
        {"ends=under special=all", SPECIAL | WATCH | UNDER, 1},
        {"special=auto ends=mixed", AUTO | WATCH | MIXED, 0},
        {"special=all ends=over", SPECIAL | WATCH, 1},
        {"special=sample:3 track ends=mixed", SPECIAL | TRACK | MIXED, 3},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct tagpool_segment_rule *rule = rule_of(cases[i].words);
        ck_assert_msg(rule->flags == cases[i].flags, "%s: flags %#x", cases[i].words, rule->flags);
        ck_assert_uint_eq(rule->one_in, cases[i].one_in);
        ck_assert_str_eq(rule->pattern, "*");
        ck_assert_str_eq(rule->site, "");
        ck_assert_uint_eq(rule->size_min, 0);
        ck_assert_uint_eq(rule->size_max, 0);
        ck_assert_int_eq(settings.leaks, strncmp(cases[i].words, "leaks", 5) == 0);
    }
}
END_TEST

START_TEST(sizes_are_a_range)
{
    const struct tagpool_segment_rule *rule = rule_of("track sizes=100-200");
    ck_assert_uint_eq(rule->size_min, 100);
    ck_assert_uint_eq(rule->size_max, 200);
    rule = rule_of("sizes=4096- track");
    ck_assert_uint_eq(rule->size_min, 4096);
    ck_assert_uint_eq(rule->size_max, 0);
    rule = rule_of("sizes=- track");
    ck_assert_uint_eq(rule->size_min, 0);
    ck_assert_uint_eq(rule->size_max, 0);
}
END_TEST

START_TEST(each_tag_has_a_rule)
{
    read_words("special=all tags=Conn,Req*,my-library.so.1 sizes=5-6");
    ck_assert_uint_eq(settings.count, 3);
    ck_assert_str_eq(settings.rules[0].pattern, "Conn");
    ck_assert_str_eq(settings.rules[1].pattern, "Req*");
    ck_assert_str_eq(settings.rules[2].pattern, "my-library.so.1");
    for (int i = 0; i < 3; i++) {
        ck_assert_uint_eq(settings.rules[i].flags, SPECIAL | WATCH);
        ck_assert_uint_eq(settings.rules[i].size_max, 6);
    }
}
END_TEST

START_TEST(guards_and_quarantine)
{
    static const char *const names[] = {"none", "madvise", "userfault", "protect"};
    for (int kind = TP_GUARD_NONE; kind <= TP_GUARD_PROTECT; kind++) {
        char words[64] = "track guard=";
        read_words(strcat(words, names[kind]));
        ck_assert_int_eq(settings.guards, kind);
    }
    read_words("track quarantine=4096");
    ck_assert_uint_eq(settings.quarantine, 4096);
    ck_assert_int_eq(settings.guards, TP_GUARD_NONE);
    read_words("track quarantine=99999999999999999999999999");
    ck_assert_uint_eq(settings.quarantine, UINT32_MAX);
}
END_TEST

START_TEST(harden_alone_is_no_rule)
{
    read_words("harden");
    ck_assert(settings.harden);
    ck_assert_uint_eq(settings.count, 0);
}
END_TEST

/* --- faults --------------------------------------------------------------------------------------------------- */

START_TEST(faults_are_rules_of_their_own)
{
    const struct tagpool_segment_rule *rule =
        rule_of("fail=probability:50,tag:Conn,site:libssl.so.3+0x1234,nth:9,after:1500");
    ck_assert_uint_eq(rule->flags, FAIL);
    ck_assert_uint_eq(rule->fail_chances, 50);
    ck_assert_str_eq(rule->pattern, "Conn");
    ck_assert_str_eq(rule->site, "libssl.so.3+0x1234");
    ck_assert_uint_eq(rule->fail_nth, 9);
    ck_assert_uint_eq(rule->fail_after_ms, 1500);
    rule = rule_of("fail=nth:4294967297");
    ck_assert_str_eq(rule->pattern, "*");
    ck_assert_uint_eq(rule->fail_nth, UINT32_MAX);
    read_words("fail=nth:1 track tags=Conn fail=nth:2,tag:Abcd");
    ck_assert_uint_eq(settings.count, 3);
    ck_assert_uint_eq(settings.rules[0].fail_nth, 1);
    ck_assert_str_eq(settings.rules[1].pattern, "Abcd");
    ck_assert_str_eq(settings.rules[2].pattern, "Conn");
    ck_assert_uint_eq(settings.rules[2].flags, TRACK);
}
END_TEST

/* --- what is left out ----------------------------------------------------------------------------------------- */

START_TEST(what_is_not_known_is_left_out)
{
    must_be_nothing("");
    must_be_nothing("   ");
    must_be_nothing("tracks trac special special= =all ends= fail= guard= quarantine= sizes= tags= leak TRACK \t");
    must_be_nothing("exactly hardened ends=upside guard=steel nonsense=1 =");
    const struct tagpool_segment_rule *rule = rule_of("  nonsense   track  ,,, special:all  ends=sideways ");
    ck_assert_uint_eq(rule->flags, TRACK);
    rule = rule_of("fail=often,nth:3,nth:,why:not,");
    ck_assert_uint_eq(rule->fail_nth, 3);
    ck_assert_uint_eq(rule->fail_chances, 0);
}
END_TEST

START_TEST(tags_without_a_treatment_are_no_rule)
{
    read_words("tags=Conn sizes=1-2");
    ck_assert_uint_eq(settings.count, 0);
}
END_TEST

START_TEST(what_is_too_long_is_cut)
{
    char words[600] = "track tags=";
    memset(words + strlen(words), 'x', 200);
    strcat(words, ",Conn fail=nth:1,site:");
    memset(words + strlen(words), 'y', 200);
    read_words(words);
    ck_assert_uint_eq(settings.count, 3);
    ck_assert_uint_eq(strlen(settings.rules[0].site), sizeof(settings.rules[0].site) - 1);
    ck_assert_uint_eq(strspn(settings.rules[0].site, "y"), sizeof(settings.rules[0].site) - 1);
    ck_assert_uint_eq(strspn(settings.rules[1].pattern, "x"), sizeof(settings.rules[1].pattern) - 1);
    ck_assert_uint_eq(strlen(settings.rules[1].pattern), sizeof(settings.rules[1].pattern) - 1);
    ck_assert_str_eq(settings.rules[2].pattern, "Conn");
}
END_TEST

START_TEST(there_are_so_many_rules_and_no_more)
{
    char words[600] = "track fail=nth:1 tags=";
    for (int i = 0; i < 40; i++)
        strcat(words, "Conn,");
    read_words(words);
    ck_assert_uint_eq(settings.count, TAGPOOL_SEGMENT_RULES);
    ck_assert_uint_eq(settings.rules[0].flags, FAIL);
    ck_assert_uint_eq(settings.rules[TAGPOOL_SEGMENT_RULES - 1].flags, TRACK);
    for (int i = 0; i < 20; i++)
        strcat(words, " fail=nth:2");
    read_words(words);
    ck_assert_uint_eq(settings.count, TAGPOOL_SEGMENT_RULES);
}
END_TEST

/* --- patterns ------------------------------------------------------------------------------------------------- */

START_TEST(patterns_match)
{
    static const struct {
        const char *pattern, *name;
        bool matches;
    } cases[] = {
        {"Conn", "Conn", true}, {"Conn", "conn", false},  {"Conn", "Con", false},
        {"Con", "Conn", false}, {"Co?n", "Conn", true},   {"????", "Conn", true},
        {"???", "Conn", false}, {"?????", "Conn", false}, {"Co*", "Conn", true},
        {"*", "Conn", true},    {"*", "", true},          {"Conn*", "Conn", true},
        {"", "", true},         {"", "Conn", false},      {"?", "", false},
        {"D*", "Conn", false},  {"C?*", "C", false},      {"lib?.so*", "libz.so.1", true},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        ck_assert_msg(tp_settings_match(cases[i].pattern, cases[i].name) == cases[i].matches, "%s, %s",
                      cases[i].pattern, cases[i].name);
}
END_TEST

UNIT_MAIN("settings", words_are_flags, sizes_are_a_range, each_tag_has_a_rule, guards_and_quarantine,
          harden_alone_is_no_rule, faults_are_rules_of_their_own, what_is_not_known_is_left_out,
          tags_without_a_treatment_are_no_rule, what_is_too_long_is_cut, there_are_so_many_rules_and_no_more,
          patterns_match)
