/*
 * What people say to switch the verifier: "+spp Conn", "-track", "+fail Req*=probability:600", "+limit Conn=64M".
 */
#ifndef SETTING_H
#define SETTING_H

#include "ruleset.h"

/* One of them: a rule to switch on or off, or a limit. */
struct setting {
    const char *name; /* as in the language, without its sign */
    bool is_on;
    bool is_limit;
    struct tagpool_segment_rule rule; /* of a limit, the pattern alone; of what is switched off, where and what */
    uint64_t soft_bytes;
    uint64_t hard_bytes;
};

struct setting_list {
    struct setting *items;
    size_t count;
};

/* Whether a word begins one. */
bool setting_is_word(const char *word);

/* Take in argv[0] and what belongs to it: *used arguments.  0, or a status after one sentence. */
int setting_take(struct setting_list *list, char **argv, int *used);

/* As the original writes them: "Tag", "0xSize", "A-B", to a rule's pattern and sizes.  False: it is none of them. */
bool setting_read_where(struct tagpool_segment_rule *rule, const char *text);

/*
 * Do what a setting that is no limit says.  False: there is no room for a rule.  *changed is added to: rows that are
 * not as they were.
 */
bool setting_apply(const struct setting *setting, struct ruleset *set, unsigned *changed);

/* For help: a line each. */
void setting_print_help(void);

#endif
