/*
 * Options of a sub-command as a table, from which parsing and help follow.
 */
#ifndef OPTIONS_H
#define OPTIONS_H

#include <stddef.h>

struct option_row {
    char letter;          /* or 0 */
    const char *word;     /* or NULL */
    const char *argument; /* what help calls its value: "NAME", or "[=NAME]" that may be left out; NULL: none */
    const char *help;
    /* Take it in (value NULL: it was left out): 0, or a status after saying what is wrong with the value. */
    int (*apply)(void *context, const char *value);
};

struct option_table {
    const char *command; /* as in "tagpool top" */
    const char *synopsis;
    const char *summary;
    const struct option_row *rows;
    size_t count;
};

enum { OPTIONS_HELP = -1 };

/*
 * Parse argv[1..) up to the first that is no option and store its index in *next.  0; OPTIONS_HELP when help was
 * asked for (and printed); or a status after one sentence on stderr.
 */
int options_parse(const struct option_table *table, int argc, char **argv, void *context, int *next);

void options_print_help(const struct option_table *table);

#endif
