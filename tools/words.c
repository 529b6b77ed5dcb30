#include "words.h"
#include "memory.h"
#include "number.h"
#include "pattern.h"

#include <stdlib.h>
#include <string.h>

/* ---- reading: values ---- */

/* One group of words, until the tags that it is for are known. */
struct words_group {
    struct words *words;
    struct tagpool_segment_rule rule;
    const char *tags; /* NULL: all */
    bool leaks;
};

static bool words_read_count(const char *text, uint64_t most, uint32_t *count)
{
    uint64_t number;
    if (!number_read(&text, "", most, &number))
        return false;
    *count = (uint32_t)number;
    return true;
}

static bool words_read_special(struct words_group *group, const char *value)
{
    struct tagpool_segment_rule *rule = &group->rule;
    if (strcmp(value, "all") == 0) {
        rule->flags |= TAGPOOL_SEGMENT_RULE_SPECIAL | TAGPOOL_SEGMENT_RULE_WATCH;
        rule->one_in = 1;
        return true;
    }
    if (strncmp(value, "sample:", 7) == 0) {
        rule->flags |= TAGPOOL_SEGMENT_RULE_SPECIAL;
        return words_read_count(value + 7, UINT32_MAX, &rule->one_in) && rule->one_in > 0;
    }
    rule->flags |= TAGPOOL_SEGMENT_RULE_AUTO | TAGPOOL_SEGMENT_RULE_WATCH;
    if (strncmp(value, "auto:", 5) == 0)
        return words_read_count(value + 5, 100, &group->words->budget) && group->words->budget > 0;
    return strcmp(value, "auto") == 0;
}

static bool words_read_sizes(struct words_group *group, const char *value)
{
    struct tagpool_segment_rule *rule = &group->rule;
    if (!number_read(&value, "-", INT64_MAX, &rule->size_min))
        return false;
    rule->size_max = 0;
    if (*value == '\0')
        return true;
    value++;
    return number_read(&value, "", INT64_MAX, &rule->size_max) && rule->size_max >= rule->size_min &&
           rule->size_max > 0;
}

/* A flag by the name of its value; 0 stands for what is the case anyway. */
struct words_choice {
    const char *name;
    uint32_t flag;
};

static bool words_choose(struct words_group *group, const char *value, const struct words_choice *choices)
{
    for (; choices->name != NULL; choices++)
        if (strcmp(choices->name, value) == 0) {
            group->rule.flags |= choices->flag;
            return true;
        }
    return false;
}

static bool words_read_ends(struct words_group *group, const char *value)
{
    static const struct words_choice choices[] = {
        {"over", 0}, {"under", TAGPOOL_SEGMENT_RULE_UNDER}, {"mixed", TAGPOOL_SEGMENT_RULE_MIXED}, {NULL, 0}};
    return words_choose(group, value, choices);
}

static bool words_read_track(struct words_group *group, const char *value)
{
    static const struct words_choice choices[] = {{"site", TAGPOOL_SEGMENT_RULE_TRACK_SITE},
                                                  {"stacks", TAGPOOL_SEGMENT_RULE_TRACK},
                                                  {"full", TAGPOOL_SEGMENT_RULE_TRACK_FULL},
                                                  {NULL, 0}};
    return words_choose(group, value, choices);
}

static bool words_read_plain(struct words_group *group, const char *word)
{
    static const struct words_choice choices[] = {{"exact", TAGPOOL_SEGMENT_RULE_EXACT},
                                                  {"watch", TAGPOOL_SEGMENT_RULE_WATCH},
                                                  {"track", TAGPOOL_SEGMENT_RULE_TRACK},
                                                  {NULL, 0}};
    bool is_leaks = strcmp(word, "leaks") == 0, is_harden = strcmp(word, "harden") == 0;
    group->leaks |= is_leaks;
    group->words->harden |= is_harden;
    return is_leaks || is_harden || words_choose(group, word, choices);
}

static bool words_read_leaks(struct words_group *group, const char *value)
{
    group->leaks = true;
    return strcmp(value, "1") == 0;
}

static bool words_read_quarantine(struct words_group *group, const char *value)
{
    group->words->has_quarantine = true;
    return words_read_count(value, UINT32_MAX, &group->words->quarantine);
}

static bool words_read_guard(struct words_group *group, const char *value)
{
    static const char *const names[] = {"auto", "madvise", "userfault", "protect"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(names[i], value) == 0) {
            strncpy(group->words->guard, value, sizeof(group->words->guard) - 1);
            return true;
        }
    return false;
}

static bool words_read_tags(struct words_group *group, const char *value)
{
    group->tags = value;
    for (;; value++) {
        size_t length = strcspn(value, ",");
        if (!pattern_is_good(value, length))
            return false;
        value += length;
        if (*value == '\0')
            return true;
    }
}

/* ---- reading: faults ---- */

static bool words_copy_pattern(char *to, size_t size, const char *value)
{
    if (!pattern_is_good(value, strlen(value)) || strlen(value) >= size)
        return false;
    strcpy(to, value);
    return true;
}

static bool words_read_fault_part(struct tagpool_segment_rule *rule, const char *part, bool has_units)
{
    uint64_t ms;
    if (strncmp(part, "probability:", 12) == 0)
        return words_read_count(part + 12, 10000, &rule->fail_chances);
    if (strncmp(part, "nth:", 4) == 0)
        return words_read_count(part + 4, UINT32_MAX, &rule->fail_nth) && rule->fail_nth > 0;
    if (strncmp(part, "site:", 5) == 0)
        return words_copy_pattern(rule->site, sizeof(rule->site), part + 5);
    if (strncmp(part, "tag:", 4) == 0 && !has_units)
        return words_copy_pattern(rule->pattern, sizeof(rule->pattern), part + 4);
    if (strncmp(part, "after:", 6) != 0)
        return false;
    if (!has_units)
        return words_read_count(part + 6, UINT32_MAX, &rule->fail_after_ms);
    if (!number_read_time(part + 6, &ms))
        return false;
    rule->fail_after_ms = (uint32_t)ms;
    return true;
}

bool words_read_fault(struct tagpool_segment_rule *rule, const char *text, bool has_units)
{
    char *copy = memory_copy_text(text), *rest = copy;
    bool is_good = true;
    for (char *part; is_good && (part = strsep(&rest, ",")) != NULL;)
        is_good = words_read_fault_part(rule, part, has_units);
    free(copy);
    return is_good;
}

/* A rule of its own, whatever the group is for. */
static bool words_read_fail(struct words_group *group, const char *value)
{
    struct tagpool_segment_rule rule = {.pattern = "*", .flags = TAGPOOL_SEGMENT_RULE_FAIL};
    return words_read_fault(&rule, value, false) && ruleset_append(&group->words->rules, &rule);
}

/* ---- reading: words ---- */

static const struct {
    const char *name;
    bool (*read)(struct words_group *group, const char *value);
} words_names[] = {
    {"special=", words_read_special},
    {"tags=", words_read_tags},
    {"sizes=", words_read_sizes},
    {"ends=", words_read_ends},
    {"track=", words_read_track},
    {"leaks=", words_read_leaks},
    {"quarantine=", words_read_quarantine},
    {"guard=", words_read_guard},
    {"fail=", words_read_fail},
};

static bool words_read_word(struct words_group *group, const char *word)
{
    for (size_t i = 0; i < sizeof(words_names) / sizeof(words_names[0]); i++) {
        size_t length = strlen(words_names[i].name);
        if (strncmp(word, words_names[i].name, length) == 0)
            return words_names[i].read(group, word + length);
    }
    return words_read_plain(group, word);
}

/* As the program does it: leaks are told by their stacks. */
static bool words_end_group(struct words_group *group)
{
    struct tagpool_segment_rule *rule = &group->rule;
    const char *tags = group->tags != NULL ? group->tags : "*";
    group->words->leaks |= group->leaks;
    if (group->leaks)
        rule->flags |= TAGPOOL_SEGMENT_RULE_TRACK;
    while (rule->flags != 0) {
        size_t length = strcspn(tags, ",");
        memset(rule->pattern, 0, sizeof(rule->pattern));
        memcpy(rule->pattern, tags, length);
        if (!ruleset_append(&group->words->rules, rule))
            return false;
        if (tags[length] == '\0')
            break;
        tags += length + 1;
    }
    return true;
}

static bool words_read_all(struct words *words, char *rest, const char **wrong)
{
    struct words_group group = {.words = words};
    for (char *word; (word = strsep(&rest, " ")) != NULL;) {
        bool is_end = strcmp(word, ";") == 0;
        *wrong = word;
        if (word[0] != '\0' && !(is_end ? words_end_group(&group) : words_read_word(&group, word)))
            return false;
        if (is_end)
            group = (struct words_group){.words = words};
    }
    *wrong = "more than 16 rules";
    return words_end_group(&group);
}

bool words_read(struct words *words, const char *text, char wrong[WORDS_WRONG])
{
    char *copy = memory_copy_text(text);
    const char *word = "";
    bool is_good = words_read_all(words, copy, &word);
    wrong[0] = '\0';
    strncat(wrong, word, WORDS_WRONG - 1);
    free(copy);
    return is_good;
}

/* ---- writing ---- */

static void words_put_fault(FILE *out, const struct tagpool_segment_rule *rule)
{
    fprintf(out, " fail=probability:%u", rule->fail_chances);
    if (strcmp(rule->pattern, "*") != 0)
        fprintf(out, ",tag:%s", rule->pattern);
    if (rule->site[0] != '\0')
        fprintf(out, ",site:%s", rule->site);
    if (rule->fail_nth != 0)
        fprintf(out, ",nth:%u", rule->fail_nth);
    if (rule->fail_after_ms != 0)
        fprintf(out, ",after:%u", rule->fail_after_ms);
}

/* What the words before say of patterns need not be said again. */
static void words_put_special(FILE *out, const struct tagpool_segment_rule *rule, uint32_t budget)
{
    bool is_sample = rule->one_in > 1, is_watched = (rule->flags & TAGPOOL_SEGMENT_RULE_AUTO) != 0;
    if (is_watched && budget != 0)
        fprintf(out, " special=auto:%u", budget);
    else if (is_watched)
        fputs(" special=auto", out);
    if ((rule->flags & TAGPOOL_SEGMENT_RULE_SPECIAL) != 0 && is_sample)
        fprintf(out, " special=sample:%u", rule->one_in);
    else if ((rule->flags & TAGPOOL_SEGMENT_RULE_SPECIAL) != 0) {
        bool has_patterns = (rule->flags & TAGPOOL_SEGMENT_RULE_WATCH) != 0;
        fputs(has_patterns ? " special=all" : " special=sample:1", out);
        is_watched |= has_patterns;
    }
    if ((rule->flags & TAGPOOL_SEGMENT_RULE_WATCH) != 0 && !is_watched)
        fputs(" watch", out);
}

static void words_put_rule(FILE *out, const struct tagpool_segment_rule *rule, uint32_t budget)
{
    static const struct words_choice plain[] = {
        {"exact", TAGPOOL_SEGMENT_RULE_EXACT},           {"ends=under", TAGPOOL_SEGMENT_RULE_UNDER},
        {"ends=mixed", TAGPOOL_SEGMENT_RULE_MIXED},      {"track", TAGPOOL_SEGMENT_RULE_TRACK},
        {"track=site", TAGPOOL_SEGMENT_RULE_TRACK_SITE}, {"track=full", TAGPOOL_SEGMENT_RULE_TRACK_FULL}};
    words_put_special(out, rule, budget);
    for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++)
        if ((rule->flags & plain[i].flag) != 0)
            fprintf(out, " %s", plain[i].name);
    if (rule->size_max != 0)
        fprintf(out, " sizes=%llu-%llu", (unsigned long long)rule->size_min, (unsigned long long)rule->size_max);
    else if (rule->size_min != 0)
        fprintf(out, " sizes=%llu", (unsigned long long)rule->size_min);
    if (strcmp(rule->pattern, "*") != 0)
        fprintf(out, " tags=%s", rule->pattern);
}

static void words_put_rest(FILE *out, const struct words *words)
{
    if (words->leaks)
        fputs(" leaks=1", out);
    if (words->harden)
        fputs(" harden", out);
    if (words->has_quarantine)
        fprintf(out, " quarantine=%u", words->quarantine);
    if (words->guard[0] != '\0')
        fprintf(out, " guard=%s", words->guard);
}

/* Which rule's line has room for what is no rule.  Leaks have that rule track, so it must be one that does. */
static size_t words_rest_at(const struct words *words)
{
    for (uint32_t i = 0; i < words->rules.count; i++) {
        uint32_t flags = words->rules.rows[i].flags;
        bool is_fit = !words->leaks || (flags & TAGPOOL_SEGMENT_RULE_TRACK) != 0;
        if ((flags & TAGPOOL_SEGMENT_RULE_FAIL) == 0 && is_fit)
            return i;
    }
    return words->rules.count;
}

static bool words_has_rest(const struct words *words)
{
    return words->leaks || words->harden || words->has_quarantine || words->guard[0] != '\0';
}

size_t words_line_count(const struct words *words)
{
    return words->rules.count + (words_has_rest(words) && words_rest_at(words) == words->rules.count);
}

static void words_put_line(FILE *out, const struct words *words, size_t n)
{
    const struct tagpool_segment_rule *rule = &words->rules.rows[n];
    if (n < words->rules.count && (rule->flags & TAGPOOL_SEGMENT_RULE_FAIL) != 0)
        words_put_fault(out, rule);
    else if (n < words->rules.count)
        words_put_rule(out, rule, words->budget);
    if (n == words_rest_at(words))
        words_put_rest(out, words);
}

char *words_line(const struct words *words, size_t n)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    if (out != NULL) {
        words_put_line(out, words, n);
        fclose(out);
    }
    char *line = memory_copy_text(text != NULL && text[0] == ' ' ? text + 1 : "");
    free(text);
    return line;
}
