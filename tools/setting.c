#include "setting.h"
#include "memory.h"
#include "number.h"
#include "pattern.h"
#include "report.h"
#include "words.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What stands behind a setting's word. */
enum setting_value { SETTING_WHERE, SETTING_FAULT, SETTING_LIMIT };

struct setting_row {
    const char *name;
    enum setting_value value;
    uint32_t on;
    uint32_t off; /* may be more than what it switches on */
    const char *usage;
    const char *help;
};

#define SETTING_SPECIAL (TAGPOOL_SEGMENT_RULE_SPECIAL | TAGPOOL_SEGMENT_RULE_WATCH)
#define SETTING_AUTO (TAGPOOL_SEGMENT_RULE_AUTO | TAGPOOL_SEGMENT_RULE_WATCH)

static const struct setting_row setting_rows[] = {
    {"spp", SETTING_WHERE, SETTING_SPECIAL, TAGPOOL_SEGMENT_RULE_SPECIAL | TAGPOOL_SEGMENT_RULE_AUTO, "spp WHERE",
     "special pool: each block on pages of its own"},
    {"auto", SETTING_WHERE, SETTING_AUTO, TAGPOOL_SEGMENT_RULE_AUTO, "auto WHERE",
     "special pool for the first blocks of each call, then ever fewer"},
    {"watch", SETTING_WHERE, TAGPOOL_SEGMENT_RULE_WATCH, TAGPOOL_SEGMENT_RULE_WATCH, "watch WHERE",
     "patterns around blocks, freed ones kept from use"},
    {"track", SETTING_WHERE, TAGPOOL_SEGMENT_RULE_TRACK, RULESET_TRACKS, "track[=HOW] [WHERE]",
     "who allocated each block: site, stacks (default), full"},
    {"exact", SETTING_WHERE, TAGPOOL_SEGMENT_RULE_EXACT, TAGPOOL_SEGMENT_RULE_EXACT, "exact WHERE",
     "special pool ends blocks to the byte"},
    {"under", SETTING_WHERE, TAGPOOL_SEGMENT_RULE_UNDER, TAGPOOL_SEGMENT_RULE_UNDER, "under WHERE",
     "special pool guards the beginning of blocks"},
    {"fail", SETTING_FAULT, TAGPOOL_SEGMENT_RULE_FAIL, TAGPOOL_SEGMENT_RULE_FAIL, "fail TAG[=HOW]",
     "allocations fail: probability:N,nth:N,site:S,after:TIME"},
    {"limit", SETTING_LIMIT, 0, 0, "limit TAG=BYTES", "a limit: 64M, or 64M,soft:48M; TAG may be paged or nonpaged"},
};
enum { SETTING_ROWS = sizeof(setting_rows) / sizeof(setting_rows[0]) };

/* ---- where ---- */

/* Original sizes have the pool's header in them: all requests n of 1 to 4080 bytes with n + 16 rounded up to 16. */
#define SETTING_SIZE_HEADER 16u
#define SETTING_SIZE_STEP 16u
#define SETTING_SIZE_LIMIT 4096u

static bool setting_read_class(struct tagpool_segment_rule *rule, uint64_t value)
{
    if (value % SETTING_SIZE_STEP != 0 || value < SETTING_SIZE_HEADER + SETTING_SIZE_STEP)
        return false;
    rule->size_max = value - SETTING_SIZE_HEADER;
    rule->size_min = rule->size_max == SETTING_SIZE_STEP ? 0 : rule->size_max - SETTING_SIZE_STEP + 1;
    return true;
}

/* A number below a page is a size, and one above a tag, its first character lowest; 0x2a is '*'. */
static bool setting_read_number(struct tagpool_segment_rule *rule, uint64_t value)
{
    if (value < SETTING_SIZE_LIMIT && value != '*')
        return setting_read_class(rule, value);
    memset(rule->pattern, 0, sizeof(rule->pattern));
    memcpy(rule->pattern, &value, sizeof(uint32_t));
    return pattern_is_good(rule->pattern, strlen(rule->pattern));
}

static bool setting_read_range(struct tagpool_segment_rule *rule, const char *text)
{
    return number_read(&text, "-", INT64_MAX, &rule->size_min) && *text++ == '-' &&
           number_read(&text, "", INT64_MAX, &rule->size_max) && rule->size_max >= rule->size_min && rule->size_max > 0;
}

bool setting_read_where(struct tagpool_segment_rule *rule, const char *text)
{
    uint64_t value;
    rule->size_min = rule->size_max = 0;
    strcpy(rule->pattern, "*");
    if (text[0] == '0' && (text[1] | 0x20) == 'x' && text[2] != '\0')
        return number_read_any(text, UINT32_MAX, &value) && setting_read_number(rule, value);
    if (text[0] >= '0' && text[0] <= '9' && text[strspn(text, "0123456789")] == '-')
        return setting_read_range(rule, text);
    if (!pattern_is_good(text, strlen(text)))
        return false;
    memset(rule->pattern, 0, sizeof(rule->pattern));
    strcpy(rule->pattern, text);
    return true;
}

static int setting_take_where(struct setting *setting, const char *text)
{
    if (setting_read_where(&setting->rule, text))
        return 0;
    return report_usage(
        "'%s' is no tag and no size: say a tag like Conn, Req? or lib*, a size like 0x30 (17 to 32 bytes,"
        " as the original counts), or 100-200.",
        text);
}

/* ---- faults and limits: PATTERN=VALUE ---- */

/* The pattern before `=`, and what is behind it (NULL: nothing). */
static int setting_take_pattern(struct setting *setting, const char *text, const char **value)
{
    size_t length = strcspn(text, "=");
    *value = text[length] == '=' ? text + length + 1 : NULL;
    if (!pattern_is_good(text, length))
        return report_usage("'%.*s' is no tag: say a tag like Conn, or Req? and lib*, with ? for one character and * at"
                            " the end for the rest.",
                            (int)length, text);
    memcpy(setting->rule.pattern, text, length);
    return 0;
}

static int setting_take_fault(struct setting *setting, const char *text)
{
    struct tagpool_segment_rule *rule = &setting->rule;
    const char *value;
    int status = setting_take_pattern(setting, text, &value);
    if (status != 0)
        return status;
    if (!setting->is_on)
        return value == NULL ? 0 : report_usage("-fail takes a tag alone, without '=%s'.", value);
    if (value != NULL && !words_read_fault(rule, value, true))
        return report_usage("'%s' says no faults: say some of probability:N (chances in 10000), nth:N, site:SITE,"
                            " after:TIME (10s), with commas in between.",
                            value);
    if (rule->fail_chances == 0 && rule->fail_nth == 0)
        rule->fail_chances = WORDS_FAULT_CHANCES;
    return 0;
}

static bool setting_read_limit(struct setting *setting, const char *text)
{
    bool is_good = true;
    if (strncmp(text, "soft:", 5) != 0) {
        is_good = number_read_bytes(&text, ",", &setting->hard_bytes) && setting->hard_bytes != 0;
        if (!is_good || *text == '\0')
            return is_good;
        text++;
    }
    if (strncmp(text, "soft:", 5) != 0)
        return false;
    text += 5;
    return number_read_bytes(&text, "", &setting->soft_bytes) && setting->soft_bytes != 0 &&
           (setting->hard_bytes == 0 || setting->soft_bytes <= setting->hard_bytes);
}

static int setting_take_limit(struct setting *setting, const char *text)
{
    const char *value;
    int status = setting_take_pattern(setting, text, &value);
    if (status != 0)
        return status;
    if (!setting->is_on)
        return value == NULL ? 0 : report_usage("-limit takes a tag alone, without '=%s'.", value);
    if (value == NULL || !setting_read_limit(setting, value))
        return report_usage("'%s' says no limit: say TAG=64M, TAG=64M,soft:48M, or TAG=soft:48M, the soft one not above"
                            " the other.",
                            text);
    return 0;
}

/* ---- taking in ---- */

/* "+track=full": the part behind `=`. */
static int setting_take_how(struct setting *setting, const char *how)
{
    static const struct {
        const char *how;
        uint32_t flag;
    } rows[] = {{"stacks", TAGPOOL_SEGMENT_RULE_TRACK},
                {"site", TAGPOOL_SEGMENT_RULE_TRACK_SITE},
                {"full", TAGPOOL_SEGMENT_RULE_TRACK_FULL}};
    for (size_t i = 0; setting->is_on && i < sizeof(rows) / sizeof(rows[0]); i++)
        if (strcmp(rows[i].how, how) == 0) {
            setting->rule.flags = rows[i].flag;
            return 0;
        }
    return report_usage("%ctrack=%s is not known: say +track, +track=site, +track=stacks or +track=full, and -track.",
                        setting->is_on ? '+' : '-', how);
}

static const struct setting_row *setting_find(const char *word)
{
    size_t length = word[0] != '\0' ? strcspn(word + 1, "=") : 0;
    if (word[0] != '+' && word[0] != '-')
        return NULL;
    for (size_t i = 0; i < SETTING_ROWS; i++)
        if (strlen(setting_rows[i].name) == length && memcmp(setting_rows[i].name, word + 1, length) == 0)
            return &setting_rows[i];
    return NULL;
}

bool setting_is_word(const char *word)
{
    return word[0] == '+' || setting_find(word) != NULL;
}

static int setting_take_value(struct setting *setting, const struct setting_row *row, const char *text)
{
    switch (row->value) {
    case SETTING_FAULT: return setting_take_fault(setting, text);
    case SETTING_LIMIT: return setting_take_limit(setting, text);
    default: return setting_take_where(setting, text);
    }
}

/* What is switched off, or tracked, may go without: then it is for all. */
static bool setting_may_be_for_all(const struct setting *setting)
{
    return !setting->is_on || (setting->rule.flags & RULESET_TRACKS) != 0;
}

static bool setting_is_value(const char *word)
{
    return word != NULL && word[0] != '\0' && !setting_is_word(word) && word[0] != '-' && word[0] != '/';
}

static int setting_fill(struct setting *setting, const struct setting_row *row, char **argv, int *used)
{
    const char *equals = strchr(argv[0], '=');
    int status = 0;
    if (equals != NULL && strcmp(row->name, "track") == 0)
        status = setting_take_how(setting, equals + 1);
    else if (equals != NULL)
        status = report_usage("'%s' is not known: a blank parts %c%s from its tag.", argv[0], argv[0][0], row->name);
    if (status != 0)
        return status;
    *used = 2;
    if (setting_is_value(argv[1]))
        return setting_take_value(setting, row, argv[1]);
    *used = 1;
    strcpy(setting->rule.pattern, "*");
    if (setting_may_be_for_all(setting))
        return 0;
    return report_usage("%s needs something behind it: say +%s.", argv[0], row->usage);
}

int setting_take(struct setting_list *list, char **argv, int *used)
{
    const struct setting_row *row = setting_find(argv[0]);
    *used = 1;
    if (row == NULL)
        return report_usage("there is no setting %s: 'tagpool set --help' lists them.", argv[0]);
    struct setting setting = {.name = row->name, .is_on = argv[0][0] == '+', .is_limit = row->value == SETTING_LIMIT};
    setting.rule.flags = setting.is_on ? row->on : row->off;
    setting.rule.one_in = (setting.rule.flags & TAGPOOL_SEGMENT_RULE_SPECIAL) != 0;
    int status = setting_fill(&setting, row, argv, used);
    if (status != 0)
        return status;
    list->items = memory_grow(list->items, list->count, sizeof(*list->items));
    list->items[list->count++] = setting;
    return 0;
}

bool setting_apply(const struct setting *setting, struct ruleset *set, unsigned *changed)
{
    struct ruleset before = *set;
    if (!setting->is_on) {
        *changed += ruleset_switch_off(set, &setting->rule, setting->rule.flags);
        return true;
    }
    if (!ruleset_switch_on(set, &setting->rule))
        return false;
    *changed += memcmp(&before, set, sizeof(before)) != 0;
    return true;
}

void setting_print_help(void)
{
    printf("\nSettings, with + to switch them on and - to switch them off:\n");
    for (size_t i = 0; i < SETTING_ROWS; i++)
        printf("  +%-21s %s\n", setting_rows[i].usage, setting_rows[i].help);
    printf("WHERE is a tag or name (? for one character, * for the rest), a size 0x30 as the original counts, or "
           "100-200.\n"
           "TAG is a tag or name alone.  What is switched off may go without: then it is for all.\n");
}
