#include "verify.h"
#include "budget.h"
#include "inject.h"
#include "os.h"
#include "settings.h"
#include "special.h"
#include "tell.h"
#include "trap.h"
#include "watch.h"

#include <string.h>

static struct tp_settings verify_settings;
static struct tp_inject verify_injects[TAGPOOL_SEGMENT_RULES];
static struct tagpool_report_counters verify_counters;

static void verify_count(uint64_t *counter)
{
    __atomic_fetch_add(counter, 1, __ATOMIC_RELAXED);
}

/* --- which rules a slot matches ------------------------------------------------------------------------------- */

/* A tag's characters, without the blanks that fill it up. */
static void verify_tag_text(uint32_t tag, char text[5])
{
    memcpy(text, &tag, 4);
    text[4] = '\0';
    for (int i = 3; i > 0 && text[i] == ' '; i--)
        text[i] = '\0';
}

static bool verify_matches(const struct tagpool_segment_rule *rule, uint32_t slot)
{
    char tag[5];
    verify_tag_text(tp_tags[slot].tag, tag);
    return tp_settings_match(rule->pattern, tag) || tp_settings_match(rule->pattern, tp_segment_slots[slot].name);
}

static void verify_note_slot(uint32_t slot)
{
    uint16_t rules = 0;
    for (uint32_t i = 0; i < verify_settings.count; i++)
        if (verify_matches(&verify_settings.rules[i], slot))
            rules |= (uint16_t)(1u << i);
    tp_poke(&tp_tag_rules[slot], rules);
}

/* --- plans ---------------------------------------------------------------------------------------------------- */

static bool verify_fits(const struct tagpool_segment_rule *rule, size_t size)
{
    return size >= rule->size_min && (rule->size_max == 0 || size <= rule->size_max);
}

static bool verify_wants_special(const struct tagpool_segment_rule *rule, size_t size, const struct tp_call *call)
{
    if ((rule->flags & TAGPOOL_SEGMENT_RULE_SPECIAL) != 0)
        return rule->one_in <= 1 || tp_inject_coin(rule->one_in) == 0;
    return (rule->flags & TAGPOOL_SEGMENT_RULE_AUTO) != 0 && tp_budget_allows(call, size);
}

static void verify_follow_rule(uint32_t i, size_t size, const struct tp_call *call, struct tp_verify_plan *plan)
{
    const struct tagpool_segment_rule *rule = &verify_settings.rules[i];
    if (!verify_fits(rule, size))
        return;
    if ((rule->flags & TAGPOOL_SEGMENT_RULE_FAIL) != 0)
        plan->fail |= tp_inject_decide(&verify_injects[i], rule, call);
    if ((rule->flags & TAGPOOL_SEGMENT_RULE_WATCH) != 0 && plan->treatment == TP_TREAT_PLAIN)
        plan->treatment = TP_TREAT_WATCH;
    if (verify_wants_special(rule, size, call))
        plan->treatment = TP_TREAT_SPECIAL;
    plan->exact |= (rule->flags & TAGPOOL_SEGMENT_RULE_EXACT) != 0;
    plan->under |= (rule->flags & TAGPOOL_SEGMENT_RULE_UNDER) != 0 ||
                   ((rule->flags & TAGPOOL_SEGMENT_RULE_MIXED) != 0 && tp_inject_coin(2) == 0);
}

static void verify_note_plan(const struct tp_verify_plan *plan)
{
    verify_count(&verify_counters.allocs_attempted);
    if (plan->fail)
        verify_count(&verify_counters.faults_injected);
}

void tp_verify_plan(uint32_t slot, size_t size, const struct tp_call *call, struct tp_verify_plan *plan)
{
    *plan = (struct tp_verify_plan){0};
    for (uint32_t rules = tp_peek(&tp_tag_rules[slot]); rules != 0; rules &= rules - 1)
        verify_follow_rule((uint32_t)__builtin_ctz(rules), size, call, plan);
    verify_note_plan(plan);
}

uint32_t tp_verify_free_stack(const struct tp_call *call)
{
    return 0;
}

void tp_verify_note_refusal(void)
{
    verify_count(&verify_counters.special_refused);
}

void tp_verify_note_made(enum tp_treatment treatment)
{
    verify_count(treatment == TP_TREAT_SPECIAL ? &verify_counters.allocs_special : &verify_counters.allocs_watched);
}

/* --- the life of the verifier --------------------------------------------------------------------------------- */

static void verify_begin(void)
{
    tp_special_configure(verify_settings.guards, verify_settings.quarantine);
    for (uint32_t i = 0; i < verify_settings.count; i++)
        tp_inject_begin(&verify_injects[i]);
    tp_tag_made = verify_note_slot;
    tp_stop_tell = tp_tell_stop;
    tp_trap_install();
    tp_poke(&tp_tag_rules_on, 1);
}

void tp_verify_init(void)
{
    const char *words = tp_os_environment("TAGPOOL_VERIFY");
    if (words == NULL)
        return;
    tp_settings_read(&verify_settings, words);
    if (verify_settings.count != 0)
        verify_begin();
}

void tp_verify_counters(struct tagpool_report_counters *counters)
{
    memcpy(counters, &verify_counters, sizeof(*counters));
}

void tp_verify_end(void)
{
    if (!tp_peek(&tp_tag_rules_on))
        return;
    tp_watch_check_all();
    tp_special_check_all();
    tp_tell_end(&verify_counters);
}
