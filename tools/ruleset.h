/*
 * Rules of one program as tools change them: those in its control page, or those that are kept for it.
 */
#ifndef RULESET_H
#define RULESET_H

#include <stdbool.h>
#include <stdio.h>
#include <tagpool/segment.h>

struct ruleset {
    struct tagpool_segment_rule rows[TAGPOOL_SEGMENT_RULES];
    uint32_t count;
};

/* What a rule has done by itself; the rest says how. */
#define RULESET_TREATMENTS                                                                                             \
    (TAGPOOL_SEGMENT_RULE_WATCH | TAGPOOL_SEGMENT_RULE_SPECIAL | TAGPOOL_SEGMENT_RULE_AUTO | RULESET_TRACKS |          \
     TAGPOOL_SEGMENT_RULE_FAIL | TAGPOOL_SEGMENT_RULE_SYSTEMATIC)
#define RULESET_TRACKS (TAGPOOL_SEGMENT_RULE_TRACK | TAGPOOL_SEGMENT_RULE_TRACK_SITE | TAGPOOL_SEGMENT_RULE_TRACK_FULL)

/* Put a rule behind the others, as it is; false: there is no room. */
bool ruleset_append(struct ruleset *set, const struct tagpool_segment_rule *rule);

/*
 * Have a rule's treatment done: the row of the same pattern and sizes takes it, or a new one.  A fault takes the place
 * of one with the same pattern and site.  False: there is no room.
 */
bool ruleset_switch_on(struct ruleset *set, const struct tagpool_segment_rule *rule);

/*
 * No more of `flags` for all rows whose pattern is the rule's, or fits it; where it has sizes, the row must have the
 * same.  Rows that do nothing any more go.  How many rows changed.
 */
unsigned ruleset_switch_off(struct ruleset *set, const struct tagpool_segment_rule *rule, uint32_t flags);

/* The same for rows that are for all tags and sizes alone. */
unsigned ruleset_switch_off_for_all(struct ruleset *set, uint32_t flags);

/* The flags of all rows for all tags and sizes together; of all rows. */
uint32_t ruleset_flags_for_all(const struct ruleset *set);
uint32_t ruleset_flags(const struct ruleset *set);

/* What a rule has done, for people: "special pool, call stacks"; and one rule as JSON. */
void ruleset_describe(FILE *out, const struct tagpool_segment_rule *rule);
void ruleset_put_json(FILE *out, const struct tagpool_segment_rule *rule);

#endif
