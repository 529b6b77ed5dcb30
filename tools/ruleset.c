#include "ruleset.h"
#include "json.h"
#include "label.h"
#include "pattern.h"

#include <string.h>

/* ---- changing ---- */

bool ruleset_append(struct ruleset *set, const struct tagpool_segment_rule *rule)
{
    if (set->count == TAGPOOL_SEGMENT_RULES)
        return false;
    set->rows[set->count++] = *rule;
    return true;
}

static bool ruleset_has_same_sizes(const struct tagpool_segment_rule *a, const struct tagpool_segment_rule *b)
{
    return a->size_min == b->size_min && a->size_max == b->size_max;
}

/* The row that takes a rule in. */
static struct tagpool_segment_rule *ruleset_find(struct ruleset *set, const struct tagpool_segment_rule *rule)
{
    for (uint32_t i = 0; i < set->count; i++) {
        struct tagpool_segment_rule *row = &set->rows[i];
        if (strcmp(row->pattern, rule->pattern) == 0 && strcmp(row->site, rule->site) == 0 &&
            ruleset_has_same_sizes(row, rule) && ((row->flags ^ rule->flags) & TAGPOOL_SEGMENT_RULE_FAIL) == 0)
            return row;
    }
    return NULL;
}

bool ruleset_switch_on(struct ruleset *set, const struct tagpool_segment_rule *rule)
{
    struct tagpool_segment_rule *row = ruleset_find(set, rule);
    if (row == NULL)
        return ruleset_append(set, rule);
    if ((rule->flags & TAGPOOL_SEGMENT_RULE_FAIL) != 0) {
        *row = *rule;
        return true;
    }
    if ((rule->flags & RULESET_TRACKS) != 0)
        row->flags &= ~(uint32_t)RULESET_TRACKS;
    if ((rule->flags & TAGPOOL_SEGMENT_RULE_SPECIAL) != 0)
        row->one_in = rule->one_in;
    row->flags |= rule->flags;
    return true;
}

static bool ruleset_concerns(const struct tagpool_segment_rule *rule, const struct tagpool_segment_rule *row)
{
    if ((rule->size_min != 0 || rule->size_max != 0) && !ruleset_has_same_sizes(rule, row))
        return false;
    return strcmp(rule->pattern, row->pattern) == 0 || pattern_fits(rule->pattern, row->pattern);
}

static bool ruleset_is_for_all(const struct tagpool_segment_rule *row)
{
    return strcmp(row->pattern, "*") == 0 && row->size_min <= 1 && row->size_max == 0;
}

#define RULESET_SPECIALS (TAGPOOL_SEGMENT_RULE_SPECIAL | TAGPOOL_SEGMENT_RULE_AUTO)

/* Patterns come with special pool, and go with it, not before it.  False: there was nothing to clear. */
static bool ruleset_clear(struct tagpool_segment_rule *row, uint32_t flags)
{
    uint32_t before = row->flags, specials = row->flags & ~flags & RULESET_SPECIALS;
    row->flags &= ~(specials != 0 ? flags & ~(uint32_t)TAGPOOL_SEGMENT_RULE_WATCH : flags);
    if (specials == 0 && (before & RULESET_SPECIALS) != 0)
        row->flags &= ~(uint32_t)TAGPOOL_SEGMENT_RULE_WATCH;
    return row->flags != before;
}

/* Of rows that `rule` says, or that are for all (NULL). */
static unsigned ruleset_clear_rows(struct ruleset *set, const struct tagpool_segment_rule *rule, uint32_t flags)
{
    unsigned changed = 0;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < set->count; i++) {
        struct tagpool_segment_rule row = set->rows[i];
        bool is_meant = rule != NULL ? ruleset_concerns(rule, &row) : ruleset_is_for_all(&row);
        bool is_changed = is_meant && ruleset_clear(&row, flags);
        changed += is_changed;
        if (!is_changed || (row.flags & RULESET_TREATMENTS) != 0)
            set->rows[kept++] = row;
    }
    memset(&set->rows[kept], 0, (set->count - kept) * sizeof(set->rows[0]));
    set->count = kept;
    return changed;
}

unsigned ruleset_switch_off(struct ruleset *set, const struct tagpool_segment_rule *rule, uint32_t flags)
{
    return ruleset_clear_rows(set, rule, flags);
}

unsigned ruleset_switch_off_for_all(struct ruleset *set, uint32_t flags)
{
    return ruleset_clear_rows(set, NULL, flags);
}

/* ---- asking ---- */

uint32_t ruleset_flags_for_all(const struct ruleset *set)
{
    uint32_t flags = 0;
    for (uint32_t i = 0; i < set->count; i++)
        flags |= ruleset_is_for_all(&set->rows[i]) ? set->rows[i].flags : 0;
    return flags;
}

uint32_t ruleset_flags(const struct ruleset *set)
{
    uint32_t flags = 0;
    for (uint32_t i = 0; i < set->count; i++)
        flags |= set->rows[i].flags;
    return flags;
}

/* ---- showing ---- */

/* Words for people and for JSON; patterns are said where special pool does not say so itself. */
static const struct {
    uint32_t flag;
    const char *text;
    const char *key;
} ruleset_words[] = {
    {TAGPOOL_SEGMENT_RULE_SPECIAL, "special pool", "special"},
    {TAGPOOL_SEGMENT_RULE_AUTO, "special pool of the first of each call", "auto"},
    {TAGPOOL_SEGMENT_RULE_WATCH, "patterns", "watch"},
    {TAGPOOL_SEGMENT_RULE_TRACK, "call stacks", "track"},
    {TAGPOOL_SEGMENT_RULE_TRACK_SITE, "call sites", "track-site"},
    {TAGPOOL_SEGMENT_RULE_TRACK_FULL, "whole call stacks", "track-full"},
    {TAGPOOL_SEGMENT_RULE_FAIL, "faults", "fail"},
    {TAGPOOL_SEGMENT_RULE_SYSTEMATIC, "one call stack fails", "systematic"},
    {TAGPOOL_SEGMENT_RULE_EXACT, "to the byte", "exact"},
    {TAGPOOL_SEGMENT_RULE_UNDER, "at the beginning", "under"},
    {TAGPOOL_SEGMENT_RULE_MIXED, "at the beginning or end", "mixed"},
};
enum { RULESET_WORDS = sizeof(ruleset_words) / sizeof(ruleset_words[0]) };

static void ruleset_describe_fault(FILE *out, const struct tagpool_segment_rule *rule)
{
    char site[sizeof(rule->site)];
    if (rule->fail_nth != 0)
        fprintf(out, ": request %u", rule->fail_nth);
    else
        fprintf(out, ": %u in 10000", rule->fail_chances);
    label_clean(site, sizeof(site), rule->site, sizeof(rule->site));
    if (site[0] != '\0')
        fprintf(out, " from %s", site);
    if (rule->fail_after_ms != 0)
        fprintf(out, " after %g s", rule->fail_after_ms / 1000.0);
}

void ruleset_describe(FILE *out, const struct tagpool_segment_rule *rule)
{
    const uint32_t special = TAGPOOL_SEGMENT_RULE_SPECIAL | TAGPOOL_SEGMENT_RULE_AUTO;
    const char *separator = "";
    for (size_t i = 0; i < RULESET_WORDS; i++) {
        uint32_t flag = ruleset_words[i].flag;
        if ((rule->flags & flag) == 0 || (flag == TAGPOOL_SEGMENT_RULE_WATCH && (rule->flags & special) != 0))
            continue;
        fprintf(out, "%s%s", separator, ruleset_words[i].text);
        separator = ", ";
        if (flag == TAGPOOL_SEGMENT_RULE_SPECIAL && rule->one_in > 1)
            fprintf(out, " for one in %u", rule->one_in);
        if (flag == TAGPOOL_SEGMENT_RULE_FAIL)
            ruleset_describe_fault(out, rule);
    }
}

void ruleset_put_json(FILE *out, const struct tagpool_segment_rule *rule)
{
    const char *separator = "";
    fputs("{\"pattern\":", out);
    json_put_text(out, rule->pattern);
    fputs(",\"what\":[", out);
    for (size_t i = 0; i < RULESET_WORDS; i++) {
        if ((rule->flags & ruleset_words[i].flag) == 0)
            continue;
        fprintf(out, "%s\"%s\"", separator, ruleset_words[i].key);
        separator = ",";
    }
    fputc(']', out);
    json_put_number(out, "size_min", rule->size_min);
    json_put_number(out, "size_max", rule->size_max);
    if ((rule->flags & TAGPOOL_SEGMENT_RULE_SPECIAL) != 0)
        json_put_number(out, "one_in", rule->one_in > 1 ? rule->one_in : 1);
    if ((rule->flags & TAGPOOL_SEGMENT_RULE_FAIL) != 0) {
        json_put_number(out, "probability", rule->fail_chances);
        json_put_number(out, "nth", rule->fail_nth);
        json_put_number(out, "after_ms", rule->fail_after_ms);
        json_put_word(out, "site", rule->site);
    }
    fputc('}', out);
}
