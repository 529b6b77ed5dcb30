#include "verify.h"
#include "budget.h"
#include "figures.h"
#include "harden.h"
#include "inject.h"
#include "inquest.h"
#include "kept.h"
#include "lock.h"
#include "os.h"
#include "sample.h"
#include "settings.h"
#include "special.h"
#include "systematic.h"
#include "tell.h"
#include "thread.h"
#include "track.h"
#include "trap.h"
#include "watch.h"

#include <string.h>

/* In force now: one of two sets. */
struct verify_rules {
    uint32_t count;
    struct tagpool_segment_rule rows[TAGPOOL_SEGMENT_RULES];
    struct tp_inject injects[TAGPOOL_SEGMENT_RULES];
};
static struct verify_rules verify_sets[2];
static struct verify_rules *verify_rules = &verify_sets[0];
static uint64_t verify_epoch;
static uint32_t verify_version;
static bool verify_tells_leaks; /* at the end */

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

struct tp_verify_plan tp_verify_settled[TP_SLOT_COUNT];

#define VERIFY_TRACKS (TAGPOOL_SEGMENT_RULE_TRACK | TAGPOOL_SEGMENT_RULE_TRACK_SITE | TAGPOOL_SEGMENT_RULE_TRACK_FULL)

static enum tp_trace_level verify_trace(const struct tagpool_segment_rule *rule)
{
    if ((rule->flags & TAGPOOL_SEGMENT_RULE_TRACK_FULL) != 0)
        return TP_TRACE_FULL;
    return (rule->flags & TAGPOOL_SEGMENT_RULE_TRACK) != 0 ? TP_TRACE_SAMPLED : TP_TRACE_SITE;
}

/* Of all rules the most that one of them asks for. */
static void verify_raise(struct tp_verify_plan *plan, enum tp_treatment treatment, enum tp_trace_level trace)
{
    if (treatment > plan->treatment)
        plan->treatment = (uint8_t)treatment;
    if (trace > plan->trace)
        plan->trace = (uint8_t)trace;
}

static void verify_raise_by_flags(struct tp_verify_plan *plan, const struct tagpool_segment_rule *rule)
{
    if ((rule->flags & VERIFY_TRACKS) != 0)
        verify_raise(plan, TP_TREAT_PLAIN, verify_trace(rule));
    if ((rule->flags & (TAGPOOL_SEGMENT_RULE_WATCH | TAGPOOL_SEGMENT_RULE_AUTO)) == TAGPOOL_SEGMENT_RULE_WATCH)
        verify_raise(plan, TP_TREAT_WATCH, TP_TRACE_FEW);
}

/* What a rule can ask for and leave nothing to decide but who goes to special pool by the budget. */
#define VERIFY_SETTLED (VERIFY_TRACKS | TAGPOOL_SEGMENT_RULE_WATCH | TAGPOOL_SEGMENT_RULE_AUTO)

/* Where a sample lies is decided when its turn has come. */
#define VERIFY_SAMPLED                                                                                                 \
    (VERIFY_TRACKS | TAGPOOL_SEGMENT_RULE_WATCH | TAGPOOL_SEGMENT_RULE_SPECIAL | TAGPOOL_SEGMENT_RULE_EXACT |          \
     TAGPOOL_SEGMENT_RULE_UNDER | TAGPOOL_SEGMENT_RULE_MIXED)

static bool verify_is_sampled(const struct tagpool_segment_rule *rule)
{
    return (rule->flags & TAGPOOL_SEGMENT_RULE_SPECIAL) != 0 && rule->one_in > 1;
}

/* Threads have one count of samples each: for the first rule that wants them, and those that want as many. */
static bool verify_counts_samples(const struct verify_rules *set, const struct tagpool_segment_rule *rule)
{
    for (uint32_t i = 0; i < set->count; i++)
        if (verify_is_sampled(&set->rows[i]))
            return set->rows[i].one_in == rule->one_in;
    return false;
}

static bool verify_is_settled(const struct verify_rules *set, const struct tagpool_segment_rule *rule)
{
    bool is_sampled = verify_is_sampled(rule);
    return rule->size_min == 0 && rule->size_max == 0 &&
           (rule->flags & ~(is_sampled ? VERIFY_SAMPLED : VERIFY_SETTLED)) == 0 &&
           (!is_sampled || verify_counts_samples(set, rule));
}

static struct tp_verify_plan verify_settle(const struct verify_rules *set, uint32_t rules)
{
    struct tp_verify_plan plan = {.is_counted = true, .is_settled = rules != 0}, none = {0};
    for (; rules != 0; rules &= rules - 1) {
        const struct tagpool_segment_rule *rule = &set->rows[__builtin_ctz(rules)];
        if (!verify_is_settled(set, rule))
            return none;
        verify_raise_by_flags(&plan, rule);
        plan.is_sampled |= verify_is_sampled(rule);
        plan.is_auto |= (rule->flags & TAGPOOL_SEGMENT_RULE_AUTO) != 0;
    }
    if (plan.is_auto)
        verify_raise(&plan, TP_TREAT_WATCH, TP_TRACE_FEW);
    return plan;
}

static void verify_note_slot(uint32_t slot)
{
    const struct verify_rules *set = tp_peek(&verify_rules);
    uint16_t rules = 0;
    for (uint32_t i = 0; i < set->count; i++)
        if (verify_matches(&set->rows[i], slot))
            rules |= (uint16_t)(1u << i);
    if (rules != 0)
        tp_track_begin(slot);
    else
        tp_track_end(slot);
    tp_verify_settled[slot] = verify_settle(set, rules);
    tp_poke(&tp_tag_rules[slot], rules);
}

/* --- plans ---------------------------------------------------------------------------------------------------- */

static bool verify_fits(const struct tagpool_segment_rule *rule, size_t size)
{
    return size >= rule->size_min && (rule->size_max == 0 || size <= rule->size_max);
}

static bool verify_has_turn(const struct tagpool_segment_rule *rule)
{
    return verify_counts_samples(tp_peek(&verify_rules), rule) ? tp_sample_is_turn(tp_gate_self, rule->one_in)
                                                               : rule->one_in <= 1 || tp_inject_coin(rule->one_in) == 0;
}

/* With auto: who is neither watched nor in special pool is at least tracked. */
static void verify_follow_budget(size_t size, const struct tp_call *call, struct tp_verify_plan *plan)
{
    static const struct {
        enum tp_treatment treatment;
        enum tp_trace_level trace;
    } rows[] = {
        [TP_BUDGET_WATCH] = {TP_TREAT_WATCH, TP_TRACE_FEW},
        [TP_BUDGET_SPECIAL] = {TP_TREAT_SPECIAL, TP_TRACE_DEEP},
        [TP_BUDGET_LEAVE] = {TP_TREAT_PLAIN, TP_TRACE_FEW},
    };
    enum tp_budget_verdict verdict = tp_budget_decide(call, size);
    verify_raise(plan, rows[verdict].treatment, rows[verdict].trace);
}

static void verify_follow_special(const struct tagpool_segment_rule *rule, size_t size, const struct tp_call *call,
                                  struct tp_verify_plan *plan)
{
    if ((rule->flags & TAGPOOL_SEGMENT_RULE_SPECIAL) != 0) {
        if (verify_has_turn(rule))
            verify_raise(plan, TP_TREAT_SPECIAL, TP_TRACE_DEEP);
    } else if ((rule->flags & TAGPOOL_SEGMENT_RULE_AUTO) != 0) {
        verify_follow_budget(size, call, plan);
    }
}

static void verify_follow_rule(uint32_t i, uint32_t slot, size_t size, const struct tp_call *call,
                               struct tp_verify_plan *plan)
{
    struct verify_rules *set = tp_peek(&verify_rules);
    const struct tagpool_segment_rule *rule = &set->rows[i];
    if (!verify_fits(rule, size))
        return;
    if ((rule->flags & TAGPOOL_SEGMENT_RULE_FAIL) != 0 && tp_inject_decide(&set->injects[i], rule, call)) {
        tp_inject_note(slot, size, call);
        plan->fail = true;
    }
    if ((rule->flags & TAGPOOL_SEGMENT_RULE_SYSTEMATIC) != 0)
        plan->fail |= tp_systematic_decide(slot, size, call);
    verify_raise_by_flags(plan, rule);
    verify_follow_special(rule, size, call, plan);
    plan->exact |= (rule->flags & TAGPOOL_SEGMENT_RULE_EXACT) != 0;
    plan->under |= (rule->flags & TAGPOOL_SEGMENT_RULE_UNDER) != 0 ||
                   ((rule->flags & TAGPOOL_SEGMENT_RULE_MIXED) != 0 && tp_inject_coin(2) == 0);
}

struct tp_verify_plan tp_verify_plan(uint32_t slot, size_t size, const struct tp_call *call)
{
    struct tp_verify_plan plan = {.is_counted = true};
    for (uint32_t rules = tp_peek(&tp_tag_rules[slot]); rules != 0; rules &= rules - 1)
        verify_follow_rule((uint32_t)__builtin_ctz(rules), slot, size, call, &plan);
    return plan;
}

/* --- rules that come into force ------------------------------------------------------------------------------- */

/* The tags that there are; those that come later are told of. */
static void verify_note_all(void)
{
    for (uint32_t slot = TP_SLOT_OVERFLOW; slot < tp_tag_count(); slot++)
        if (tp_tags[slot].tag != 0 && tp_tags[slot].face != TAGPOOL_SEGMENT_LOOKASIDE)
            verify_note_slot(slot);
}

/* A rule that was in force already goes on counting. */
static void verify_begin_inject(struct verify_rules *set, uint32_t i, const struct verify_rules *before)
{
    for (uint32_t old = 0; before != NULL && old < before->count; old++)
        if (memcmp(&before->rows[old], &set->rows[i], sizeof(set->rows[i])) == 0) {
            set->injects[i] = before->injects[old];
            return;
        }
    tp_inject_begin(&set->injects[i]);
}

/* What a request that was made to fail may have led to, and which one that was. */
static void verify_note_crash(int number, const siginfo_t *info, const void *context)
{
    struct tagpool_report_counters counters;
    if (!tp_inject_tell_last())
        return;
    tp_figures_read(&counters);
    tp_tell_crash((uint32_t)number, info->si_code > 0 ? (uintptr_t)info->si_addr : 0, context, &counters);
}

/* Stops are told at length, and touches of guards are stops. */
static void verify_listen(void)
{
    tp_stop_tell = tp_tell_stop;
    if (tp_trap_unhandled == NULL)
        tp_trap_unhandled = verify_note_crash;
    tp_trap_install();
}

/* Before the set is seen. */
static void verify_begin(struct verify_rules *set, const struct verify_rules *before)
{
    for (uint32_t i = 0; i < set->count; i++)
        verify_begin_inject(set, i, before);
    if (set->count == 0)
        return;
    verify_listen();
    tp_poke(&tp_tag_rules_on, 1);
}

/*
 * What a tool wrote is not trusted: texts end, and there are no more rules than there is room for.  The number comes
 * first: what is written while this reads has another one.
 */
static void verify_read_control(struct verify_rules *rules)
{
    verify_version = __atomic_load_n(&tp_segment_control->rules_version, __ATOMIC_ACQUIRE);
    struct tagpool_segment_control control = *tp_segment_control;
    for (uint32_t i = 0; i < TAGPOOL_SEGMENT_RULES; i++) {
        control.rules[i].pattern[sizeof(control.rules[i].pattern) - 1] = '\0';
        control.rules[i].site[sizeof(control.rules[i].site) - 1] = '\0';
    }
    rules->count = (uint32_t)tp_min(control.rules_count, TAGPOOL_SEGMENT_RULES);
    memcpy(rules->rows, control.rules, sizeof(rules->rows));
}

/* Who reads the old rules meanwhile reads them to the end: two sets take turns. */
static void verify_follow_control(uint64_t epoch)
{
    if (tp_peek(&verify_epoch) == epoch)
        return;
    tp_lock(TP_LOCK_VERIFY);
    if (tp_peek(&tp_segment_control->rules_version) != verify_version) {
        struct verify_rules *next = verify_rules == &verify_sets[0] ? &verify_sets[1] : &verify_sets[0];
        verify_read_control(next);
        verify_begin(next, verify_rules);
        tp_publish(&verify_rules, next);
        verify_note_all();
        tp_publish(&tp_segment->rules_seen, verify_version);
    }
    tp_poke(&verify_epoch, epoch);
    tp_unlock(TP_LOCK_VERIFY);
}

/* What is in force from the start stands where tools look, and change it. */
static void verify_show(void)
{
    struct tagpool_segment_control *control = (struct tagpool_segment_control *)(uintptr_t)tp_segment_control;
    memcpy(control->rules, verify_rules->rows, sizeof(control->rules));
    control->rules_count = verify_rules->count;
}

/* No rule: each block of all tags is looked at, and none of them takes the verifier's way. */
static void verify_harden(void)
{
    tp_seal_init();
    verify_listen();
}

void tp_verify_init(void)
{
    struct tp_settings settings = {.guards = TP_GUARD_NONE, .budget = TP_BUDGET_PERCENT};
    const char *words = tp_os_environment("TAGPOOL_VERIFY");
    tp_tag_made = verify_note_slot;
    tp_site_switched = verify_follow_control;
    if (words == NULL && !tp_kept_read(&settings))
        return;
    if (words != NULL)
        tp_settings_read(&settings, words);
    if (settings.harden)
        verify_harden();
    memcpy(verify_rules->rows, settings.rules, sizeof(verify_rules->rows));
    verify_rules->count = settings.count;
    verify_tells_leaks = settings.leaks;
    tp_special_configure(settings.guards, settings.quarantine);
    tp_watch_configure(settings.quarantine);
    tp_budget_configure(settings.budget);
    const struct tp_systematic_options systematic = {settings.systematic, settings.has_systematic_only,
                                                     settings.systematic_only};
    if (systematic.path[0] != '\0' || systematic.has_only)
        tp_systematic_init(&systematic);
    verify_show();
    verify_begin(verify_rules, NULL);
}

void tp_verify_end(uintptr_t stack)
{
    struct tagpool_report_counters counters;
    if (!tp_peek(&tp_tag_rules_on) && !tp_seal_is_on())
        return;
    tp_harden_check_ring();
    tp_watch_check_all();
    tp_special_check_all();
    tp_systematic_end();
    tp_figures_read(&counters);
    if (verify_tells_leaks)
        tp_inquest_tell(tp_tag_rules, stack, &counters);
    tp_tell_end(&counters);
}
