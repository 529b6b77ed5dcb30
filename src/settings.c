#include "settings.h"

#include <string.h>

/* --- words ---------------------------------------------------------------------------------------------------- */

/* A part of the text: not terminated. */
struct word {
    const char *at;
    size_t length;
};

/* The next part up to one of `ends`, which is passed over; false at the end of the text. */
static bool word_next(struct word *text, const char *ends, struct word *part)
{
    while (text->length > 0 && memchr(ends, *text->at, strlen(ends)) != NULL)
        text->at++, text->length--;
    part->at = text->at;
    part->length = 0;
    while (text->length > 0 && memchr(ends, *text->at, strlen(ends)) == NULL)
        text->at++, text->length--, part->length++;
    return part->length > 0;
}

static bool word_is(struct word word, const char *name)
{
    return word.length == strlen(name) && memcmp(word.at, name, word.length) == 0;
}

/* "name=rest" or "name:rest": the rest. */
static bool word_takes(struct word word, const char *name, struct word *value)
{
    size_t length = strlen(name);
    if (word.length <= length || memcmp(word.at, name, length) != 0)
        return false;
    *value = (struct word){word.at + length, word.length - length};
    return true;
}

static uint64_t word_number(struct word word)
{
    uint64_t number = 0;
    for (size_t i = 0; i < word.length && word.at[i] >= '0' && word.at[i] <= '9' && number < UINT64_MAX / 16; i++)
        number = number * 10 + (uint64_t)(word.at[i] - '0');
    return number;
}

/* What is too large for its field is as large as can be. */
static uint32_t word_count(struct word word)
{
    return (uint32_t)tp_min(word_number(word), UINT32_MAX);
}

static uint64_t word_hash(struct word word)
{
    uint64_t hash = 0;
    for (size_t i = 0; i < word.length; i++) {
        const char *digits = "0123456789abcdef";
        const char *digit = word.at[i] != '\0' ? strchr(digits, word.at[i]) : NULL;
        if (digit == NULL)
            break;
        hash = hash << 4 | (uint64_t)(digit - digits);
    }
    return hash;
}

static void word_copy(struct word word, char *to, size_t size)
{
    size_t length = tp_min(word.length, size - 1);
    memcpy(to, word.at, length);
    to[length] = '\0';
}

/* --- rules ---------------------------------------------------------------------------------------------------- */

/* What was said for all tags named, until they are known. */
struct reading {
    struct tp_settings *settings;
    struct tagpool_segment_rule rule;
    struct word tags;
    bool leaks;
};

static struct tagpool_segment_rule *settings_add(struct tp_settings *settings, const struct tagpool_segment_rule *rule)
{
    if (settings->count == TAGPOOL_SEGMENT_RULES)
        return NULL;
    settings->rules[settings->count] = *rule;
    return &settings->rules[settings->count++];
}

static void read_special(struct reading *reading, struct word value)
{
    struct word rest;
    if (word_is(value, "all")) {
        reading->rule.flags |= TAGPOOL_SEGMENT_RULE_SPECIAL | TAGPOOL_SEGMENT_RULE_WATCH;
        reading->rule.one_in = 1;
    } else if (word_takes(value, "sample:", &rest)) {
        reading->rule.flags |= TAGPOOL_SEGMENT_RULE_SPECIAL;
        reading->rule.one_in = (uint32_t)tp_max(word_count(rest), 1);
    } else {
        if (word_takes(value, "auto:", &rest))
            reading->settings->budget = (uint32_t)tp_min(word_number(rest), 100);
        reading->rule.flags |= TAGPOOL_SEGMENT_RULE_AUTO | TAGPOOL_SEGMENT_RULE_WATCH;
    }
}

static void read_ends(struct reading *reading, struct word value)
{
    if (word_is(value, "under"))
        reading->rule.flags |= TAGPOOL_SEGMENT_RULE_UNDER;
    else if (word_is(value, "mixed"))
        reading->rule.flags |= TAGPOOL_SEGMENT_RULE_MIXED;
}

static void read_sizes(struct reading *reading, struct word value)
{
    struct word from, to;
    if (!word_next(&value, "-", &from))
        return;
    reading->rule.size_min = word_number(from);
    reading->rule.size_max = word_next(&value, "-", &to) ? word_number(to) : 0;
}

static void read_fail(struct reading *reading, struct word value)
{
    struct tagpool_segment_rule rule = {.pattern = "*", .flags = TAGPOOL_SEGMENT_RULE_FAIL};
    struct word part, rest;
    while (word_next(&value, ",", &part)) {
        if (word_takes(part, "probability:", &rest))
            rule.fail_chances = word_count(rest);
        else if (word_takes(part, "tag:", &rest))
            word_copy(rest, rule.pattern, sizeof(rule.pattern));
        else if (word_takes(part, "site:", &rest))
            word_copy(rest, rule.site, sizeof(rule.site));
        else if (word_takes(part, "nth:", &rest))
            rule.fail_nth = word_count(rest);
        else if (word_takes(part, "after:", &rest))
            rule.fail_after_ms = word_count(rest);
    }
    settings_add(reading->settings, &rule);
}

static void read_systematic(struct reading *reading, struct word value)
{
    reading->rule.flags |= TAGPOOL_SEGMENT_RULE_SYSTEMATIC;
    word_copy(value, reading->settings->systematic, sizeof(reading->settings->systematic));
}

static void read_systematic_only(struct reading *reading, struct word value)
{
    reading->rule.flags |= TAGPOOL_SEGMENT_RULE_SYSTEMATIC;
    reading->settings->has_systematic_only = true;
    reading->settings->systematic_only = word_hash(value);
}

static enum tp_guard_kind guard_named(struct word value)
{
    if (word_is(value, "madvise"))
        return TP_GUARD_MADVISE;
    if (word_is(value, "userfault"))
        return TP_GUARD_USERFAULT;
    return word_is(value, "protect") ? TP_GUARD_PROTECT : TP_GUARD_NONE;
}

static uint32_t track_named(struct word value)
{
    if (word_is(value, "site"))
        return TAGPOOL_SEGMENT_RULE_TRACK_SITE;
    return word_is(value, "full") ? TAGPOOL_SEGMENT_RULE_TRACK_FULL : TAGPOOL_SEGMENT_RULE_TRACK;
}

static bool read_word(struct reading *reading, struct word word)
{
    struct word value;
    if (word_takes(word, "special=", &value))
        read_special(reading, value);
    else if (word_takes(word, "ends=", &value))
        read_ends(reading, value);
    else if (word_takes(word, "sizes=", &value))
        read_sizes(reading, value);
    else if (word_takes(word, "fail=", &value))
        read_fail(reading, value);
    else if (word_takes(word, "systematic=", &value))
        read_systematic(reading, value);
    else if (word_takes(word, "systematic-only=", &value))
        read_systematic_only(reading, value);
    else if (word_takes(word, "tags=", &value))
        reading->tags = value;
    else if (word_takes(word, "guard=", &value))
        reading->settings->guards = guard_named(value);
    else if (word_takes(word, "quarantine=", &value))
        reading->settings->quarantine = word_count(value);
    else if (word_is(word, "exact"))
        reading->rule.flags |= TAGPOOL_SEGMENT_RULE_EXACT;
    else if (word_is(word, "watch"))
        reading->rule.flags |= TAGPOOL_SEGMENT_RULE_WATCH;
    else if (word_is(word, "track"))
        reading->rule.flags |= TAGPOOL_SEGMENT_RULE_TRACK;
    else if (word_takes(word, "track=", &value))
        reading->rule.flags |= track_named(value);
    else if (word_is(word, "leaks") || word_takes(word, "leaks=", &value))
        reading->leaks = true;
    else if (word_is(word, "harden"))
        reading->settings->harden = true;
    else
        return false;
    return true;
}

/* Leaks are told by their stacks. */
static void settings_finish(struct reading *reading)
{
    struct tagpool_segment_rule *rule = &reading->rule;
    struct word pattern;
    reading->settings->leaks |= reading->leaks;
    if (reading->leaks)
        rule->flags |= TAGPOOL_SEGMENT_RULE_TRACK;
    if (rule->flags == 0)
        return;
    if (reading->tags.length == 0)
        reading->tags = (struct word){"*", 1};
    while (word_next(&reading->tags, ",", &pattern)) {
        word_copy(pattern, rule->pattern, sizeof(rule->pattern));
        settings_add(reading->settings, rule);
    }
}

bool tp_settings_read(struct tp_settings *settings, const char *words)
{
    struct reading reading = {.settings = settings};
    struct word text = {words, strlen(words)}, word;
    bool is_known = true;
    while (word_next(&text, " ", &word)) {
        if (word_is(word, ";")) {
            settings_finish(&reading);
            reading = (struct reading){.settings = settings};
        } else {
            is_known &= read_word(&reading, word);
        }
    }
    settings_finish(&reading);
    return is_known;
}

bool tp_settings_match(const char *pattern, const char *name)
{
    for (; *pattern != '\0'; pattern++, name++) {
        if (*pattern == '*')
            return true;
        if (*name == '\0' || (*pattern != '?' && *pattern != *name))
            return false;
    }
    return *name == '\0';
}
