/*
 * What `run --verify` is told to look for: options, and the words in TAGPOOL_VERIFY that tell the program.
 *
 * The words stand apart by blanks, so no value may hold one.  The program leaves out what it does not understand, so
 * all that is wrong is refused here.
 */
#ifndef VERIFY_H
#define VERIFY_H

#include "options.h"

#include <stdbool.h>

enum verify_word {
    VERIFY_SPECIAL,
    VERIFY_TAGS,
    VERIFY_SIZES,
    VERIFY_ENDS,
    VERIFY_EXACT,
    VERIFY_TRACK,
    VERIFY_LEAKS,
    VERIFY_HARDEN,
    VERIFY_QUARANTINE,
    VERIFY_GUARD,
    VERIFY_FAIL,       /* as many words as options */
    VERIFY_SYSTEMATIC, /* both words; no option of the verifier's */
    VERIFY_WORDS,
};

struct verify {
    bool is_on;
    bool is_systematic; /* options may stand without --verify */
    bool both_ends;     /* run twice */
    bool as_json;
    bool all_leaks;     /* tell reachable ones one by one, too */
    int error_exitcode; /* -1: not given */
    const char *option; /* one that was given and needs --verify, or NULL */
    char *words[VERIFY_WORDS];
    char *kept;        /* words that are kept for the program, in place of the others; or NULL */
    unsigned defaults; /* words that --verify=LIST asked for */
};

#define VERIFY_INIT                                                                                                    \
    {                                                                                                                  \
        .error_exitcode = -1                                                                                           \
    }

/* Take one option in, whose word in the table is the function's name; context is a struct verify. */
int verify_set_verify(struct verify *verify, const char *value);
int verify_set_special_pool(struct verify *verify, const char *value);
int verify_set_tags(struct verify *verify, const char *value);
int verify_set_sizes(struct verify *verify, const char *value);
int verify_set_ends(struct verify *verify, const char *value);
int verify_set_exact(struct verify *verify, const char *value);
int verify_set_track(struct verify *verify, const char *value);
int verify_set_leaks(struct verify *verify, const char *value);
int verify_set_harden(struct verify *verify, const char *value);
int verify_set_quarantine(struct verify *verify, const char *value);
int verify_set_guard(struct verify *verify, const char *value);
int verify_set_fail(struct verify *verify, const char *value);
int verify_set_json(struct verify *verify, const char *value);
int verify_set_error_exitcode(struct verify *verify, const char *value);

/* All options are in: 0, or a status after one sentence about what does not go together. */
int verify_finish(struct verify *verify);

/* Use what is kept for a program, where nothing was said of the verifier; says so. */
void verify_use_kept(struct verify *verify, const char *program);

/* There is more to do than --harden, which needs nothing besides the module. */
bool verify_has_rules(const struct verify *verify);

/* The words, in memory of the caller's; `ends` replaces what was given when it is not NULL. */
char *verify_text(const struct verify *verify, const char *ends);

void verify_free(struct verify *verify);

#endif
