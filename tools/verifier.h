/*
 * verifier: the original's command lines for what this verifier has.
 *
 * Programs stand where the original has drivers.  Of its options, bits of a number, three are here; the others are
 * left out of a number, and refused by name.
 */
#ifndef VERIFIER_H
#define VERIFIER_H

#include "keptfile.h"
#include "target.h"

/* Bits of the original's. */
enum verifier_bit {
    VERIFIER_SPECIAL = 0x1,
    VERIFIER_FAULTS = 0x4,
    VERIFIER_TRACKING = 0x8,
};
#define VERIFIER_BITS ((uint32_t)(VERIFIER_SPECIAL | VERIFIER_FAULTS | VERIFIER_TRACKING))
#define VERIFIER_STANDARD ((uint32_t)(VERIFIER_SPECIAL | VERIFIER_TRACKING))

enum verifier_status { VERIFIER_OK = 0, VERIFIER_ERROR = 1, VERIFIER_RESTART = 2 };

/* Where it is not said, as the original: 8 minutes in which nothing fails. */
#define VERIFIER_FAULT_MINUTES 8u

struct verifier_faults {
    bool is_given;
    uint32_t chances; /* in 10,000 */
    bool has_minutes;
    uint32_t minutes;
    char *tags; /* apart by blanks; empty: any */
    char *apps;
};

/* A whole command line. */
struct verifier {
    bool is_volatile;
    bool has_bits;
    uint32_t bits;
    struct verifier_faults faults;
    struct target_names programs; /* of /driver, /all */
    struct target_names added;    /* of /adddriver */
    struct target_names removed;
};

/* Kept settings.  Each returns a status. */
int verifier_keep(const struct verifier *verifier);
int verifier_query_settings(void);
int verifier_reset(void);

/* Programs that run. */
int verifier_change_running(const struct verifier *verifier);
int verifier_query(FILE *out);
int verifier_log(const char *path, uint32_t seconds);

/* ---- what both need ---- */

/* Rules in place of those that were there, by bits; without any: none.  Faults begin after so many milliseconds. */
void verifier_set_bits(struct ruleset *rules, uint32_t bits, uint32_t fault_after_ms);
uint32_t verifier_bits_of(const struct ruleset *rules);

/* Faults in place of those that were there.  False: there is no room. */
bool verifier_set_faults(struct ruleset *rules, const struct verifier_faults *faults, uint32_t after_ms);

/* Call `each` for each word of a list; the first result that is not 0. */
int verifier_each_word(const char *list, int (*each)(const char *word, void *context), void *context);

/* What is in force, or kept, of several programs: for the original's block of lines. */
struct verifier_summary {
    uint32_t bits;
    struct tagpool_segment_rule fault; /* the first one */
    char *tags;                        /* of all faults; empty: any */
    char *apps;
    char *programs; /* a line each */
};
void verifier_summary_add(struct verifier_summary *summary, const char *program, const struct ruleset *rules);
void verifier_summary_free(struct verifier_summary *summary);
void verifier_print_summary(const struct verifier_summary *summary);
void verifier_print_faults(const struct verifier_summary *summary, bool with_delay);

#endif
