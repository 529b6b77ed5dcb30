#include "verifier.h"
#include "memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- rules ---- */

void verifier_set_bits(struct ruleset *rules, uint32_t bits, uint32_t fault_after_ms)
{
    struct tagpool_segment_rule rule = {.pattern = "*"};
    const struct verifier_faults faults = {.chances = WORDS_FAULT_CHANCES};
    *rules = (struct ruleset){.count = 0};
    if ((bits & VERIFIER_SPECIAL) != 0) {
        rule.flags |= TAGPOOL_SEGMENT_RULE_SPECIAL | TAGPOOL_SEGMENT_RULE_WATCH;
        rule.one_in = 1;
    }
    if ((bits & VERIFIER_TRACKING) != 0)
        rule.flags |= TAGPOOL_SEGMENT_RULE_TRACK;
    if (rule.flags != 0)
        ruleset_append(rules, &rule);
    if ((bits & VERIFIER_FAULTS) != 0)
        verifier_set_faults(rules, &faults, fault_after_ms);
}

uint32_t verifier_bits_of(const struct ruleset *rules)
{
    uint32_t flags = ruleset_flags(rules);
    return ((flags & (TAGPOOL_SEGMENT_RULE_SPECIAL | TAGPOOL_SEGMENT_RULE_AUTO)) != 0 ? VERIFIER_SPECIAL : 0u) |
           ((flags & TAGPOOL_SEGMENT_RULE_FAIL) != 0 ? VERIFIER_FAULTS : 0u) |
           ((flags & RULESET_TRACKS) != 0 ? VERIFIER_TRACKING : 0u);
}

struct verifier_adding {
    struct ruleset *rules;
    struct tagpool_segment_rule rule;
};

static int verifier_add_fault(const char *tag, void *context)
{
    struct verifier_adding *adding = context;
    memset(adding->rule.pattern, 0, sizeof(adding->rule.pattern));
    strncat(adding->rule.pattern, tag, sizeof(adding->rule.pattern) - 1);
    return ruleset_switch_on(adding->rules, &adding->rule) ? 0 : VERIFIER_ERROR;
}

bool verifier_set_faults(struct ruleset *rules, const struct verifier_faults *faults, uint32_t after_ms)
{
    const struct tagpool_segment_rule all = {.pattern = "*"};
    struct verifier_adding adding = {
        rules, {.flags = TAGPOOL_SEGMENT_RULE_FAIL, .fail_chances = faults->chances, .fail_after_ms = after_ms}};
    const char *tags = faults->tags != NULL && faults->tags[0] != '\0' ? faults->tags : "*";
    ruleset_switch_off(rules, &all, TAGPOOL_SEGMENT_RULE_FAIL);
    return verifier_each_word(tags, verifier_add_fault, &adding) == 0;
}

int verifier_each_word(const char *list, int (*each)(const char *word, void *context), void *context)
{
    char *copy = memory_copy_text(list), *state = NULL;
    int status = 0;
    for (char *word = strtok_r(copy, " \t", &state); word != NULL && status == 0; word = strtok_r(NULL, " \t", &state))
        status = each(word, context);
    free(copy);
    return status;
}

/* ---- the block of lines ---- */

/* A word once, behind the others. */
static void summary_add_word(char **list, const char *word, char separator)
{
    char *before = *list != NULL ? *list : memory_copy_text("");
    size_t length = strlen(word);
    for (const char *at = before; (at = strstr(at, word)) != NULL; at++)
        if ((at == before || at[-1] == separator) && (at[length] == '\0' || at[length] == separator)) {
            *list = before;
            return;
        }
    *list = before[0] != '\0' ? memory_format("%s%c%s", before, separator, word) : memory_copy_text(word);
    free(before);
}

void verifier_summary_add(struct verifier_summary *summary, const char *program, const struct ruleset *rules)
{
    summary->bits |= verifier_bits_of(rules);
    summary_add_word(&summary->programs, strcmp(program, "*") == 0 ? "All drivers" : program, '\n');
    for (uint32_t i = 0; i < rules->count; i++) {
        const struct tagpool_segment_rule *rule = &rules->rows[i];
        if ((rule->flags & TAGPOOL_SEGMENT_RULE_FAIL) == 0)
            continue;
        if (summary->fault.flags == 0)
            summary->fault = *rule;
        summary_add_word(&summary->tags, rule->pattern, ' ');
        summary_add_word(&summary->apps, program, ' ');
    }
}

void verifier_summary_free(struct verifier_summary *summary)
{
    free(summary->tags);
    free(summary->apps);
    free(summary->programs);
}

static bool summary_is_any(const char *list)
{
    return list == NULL || list[0] == '\0' || list[strlen(list) - 1] == '*' || list[0] == '*';
}

void verifier_print_faults(const struct verifier_summary *summary, bool with_delay)
{
    printf("- Fault injection probability: %u/10000.\n", summary->fault.fail_chances);
    if (summary_is_any(summary->tags))
        printf("- Fail allocations using any pool tag.\n");
    else
        printf("- Fail only allocations using pool tags: %s.\n", summary->tags);
    if (summary_is_any(summary->apps))
        printf("- Simulate low resources conditions in any application.\n");
    else
        printf("- Simulate low resources conditions only in applications: %s.\n", summary->apps);
    if (with_delay)
        printf("- Boot time delay: %u minutes.\n", (summary->fault.fail_after_ms + 30000) / 60000);
}

void verifier_print_summary(const struct verifier_summary *summary)
{
    static const struct {
        uint32_t bit;
        const char *text;
    } rows[] = {
        {VERIFIER_SPECIAL, "Special pool"},
        {VERIFIER_TRACKING, "Pool tracking"},
        {VERIFIER_FAULTS, "Low resources simulation"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        printf("%s: %s\n", rows[i].text, (summary->bits & rows[i].bit) != 0 ? "Enabled" : "Disabled");
    if ((summary->bits & VERIFIER_FAULTS) != 0) {
        printf("\nLow Resources Simulation options:\n\n");
        verifier_print_faults(summary, true);
    }
    printf("\nVerified drivers:\n\n%s\n", summary->programs != NULL ? summary->programs : "None");
}
