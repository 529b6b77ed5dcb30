/*
 * Rules as the words of TAGPOOL_VERIFY and of kept settings: "special=all tags=Conn ; track".
 *
 * The program reads them as well (src/settings.h), and leaves out what it does not know.  Here all of it must be right:
 * what this reads, and what it writes, is the same to the program.
 */
#ifndef WORDS_H
#define WORDS_H

#include "ruleset.h"

/* Room for a word that is wrong, or a part of it. */
#define WORDS_WRONG 64

struct words {
    struct ruleset rules;
    bool leaks;
    bool harden;
    bool has_quarantine;
    uint32_t quarantine;
    uint32_t budget; /* percent of special=auto; 0: not said */
    char guard[16];  /* empty: not said */
};

/* Read words, to what was read before; false with the word that is wrong, or says that there are too many rules. */
bool words_read(struct words *words, const char *text, char wrong[WORDS_WRONG]);

/* Read "probability:600,nth:3,site:lib,after:10s" into a rule; times with units where `has_units`.  False: wrong. */
bool words_read_fault(struct tagpool_segment_rule *rule, const char *text, bool has_units);

/* What a fault has where nothing is said: the original's 6 of 100. */
#define WORDS_FAULT_CHANCES 600u

/* How many lines it takes to write them: a rule each, and one more for what is no rule, if need be. */
size_t words_line_count(const struct words *words);

/* One of these lines, in memory of the caller's. */
char *words_line(const struct words *words, size_t n);

#endif
