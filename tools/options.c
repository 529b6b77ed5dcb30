#include "options.h"
#include "memory.h"
#include "report.h"

#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Rows are numbered from here in getopt's results, out of the way of letters. */
enum { OPTIONS_FIRST = 256, OPTIONS_HELP_LETTER = 'h' };

static int options_has_value(const struct option_row *row)
{
    if (row->argument == NULL)
        return no_argument;
    return row->argument[0] == '[' ? optional_argument : required_argument;
}

/* What stands between an option's word or letter and its value in help. */
static const char *options_separator(const struct option_row *row)
{
    if (options_has_value(row) != required_argument)
        return "";
    return row->word != NULL ? "=" : " ";
}

void options_print_help(const struct option_table *table)
{
    printf("Usage: %s %s\n%s\n\n", table->command, table->synopsis, table->summary);
    for (size_t i = 0; i < table->count; i++) {
        const struct option_row *row = &table->rows[i];
        char left[64], letter[8] = "";
        if (row->letter != 0)
            snprintf(letter, sizeof(letter), "-%c%s", row->letter, row->word != NULL ? ", " : "");
        snprintf(left, sizeof(left), "%4s%s%s%s%s", letter, row->word != NULL ? "--" : "",
                 row->word != NULL ? row->word : "", options_separator(row),
                 row->argument != NULL ? row->argument : "");
        printf("  %-26s %s\n", left, row->help);
    }
    printf("  %-26s %s\n", "-h, --help", "print this and exit");
}

/* getopt's own forms of the table; the caller frees them. */
static char *options_letters(const struct option_table *table)
{
    char *letters = memory_alloc(3 * table->count + 8, 1);
    char *to = stpcpy(letters, "+:h");
    for (size_t i = 0; i < table->count; i++) {
        if (table->rows[i].letter == 0)
            continue;
        *to++ = table->rows[i].letter;
        for (int colons = options_has_value(&table->rows[i]); colons > 0; colons--)
            *to++ = ':';
    }
    return letters;
}

static struct option *options_words(const struct option_table *table)
{
    struct option *words = memory_alloc(table->count + 2, sizeof(*words));
    size_t n = 0;
    words[n++] = (struct option){"help", no_argument, NULL, OPTIONS_HELP_LETTER};
    for (size_t i = 0; i < table->count; i++)
        if (table->rows[i].word != NULL)
            words[n++] =
                (struct option){table->rows[i].word, options_has_value(&table->rows[i]), NULL, OPTIONS_FIRST + (int)i};
    return words;
}

static const struct option_row *options_row(const struct option_table *table, int code)
{
    for (size_t i = 0; i < table->count; i++)
        if (code == OPTIONS_FIRST + (int)i || (code != 0 && code == table->rows[i].letter))
            return &table->rows[i];
    return NULL;
}

static bool options_is_word(const struct option_table *table, const char *word)
{
    size_t length = strcspn(word, "=");
    for (size_t i = 0; i < table->count; i++)
        if (table->rows[i].word != NULL && strlen(table->rows[i].word) == length &&
            memcmp(table->rows[i].word, word, length) == 0)
            return true;
    return false;
}

/* `argument`: the one that getopt is at, which may hold more letters. */
static int options_explain_letter(const struct option_table *table, const char *argument)
{
    bool is_word = argument != NULL && argument[0] == '-' && options_is_word(table, argument + 1);
    if (is_word)
        return report_usage("there is no option -%c: say -%s with two dashes, or try '%s --help'.", optopt, argument,
                            table->command);
    return report_usage("there is no option -%c: try '%s --help'.", optopt, table->command);
}

static int options_explain(const struct option_table *table, int code, char **argv)
{
    const char *argument = argv[optind - 1];
    const struct option_row *row = options_row(table, optopt);
    if (code == ':' && row != NULL)
        return report_usage("option %s needs a value (%s): try '%s --help'.", argument, row->argument, table->command);
    if (row != NULL)
        return report_usage("option --%s takes no value: try '%s --help'.", row->word, table->command);
    if (optopt != 0 && optopt != OPTIONS_HELP_LETTER)
        return options_explain_letter(table, argv[optind]);
    return report_usage("there is no option %s, or it is short for more than one: try '%s --help'.", argument,
                        table->command);
}

static int options_apply_all(const struct option_table *table, int argc, char **argv, void *context,
                             const char *letters, const struct option *words)
{
    int code;
    opterr = 0;
    optind = 0; /* glibc: begin anew, with the new letters */
    while ((code = getopt_long(argc, argv, letters, words, NULL)) != -1) {
        if (code == OPTIONS_HELP_LETTER) {
            options_print_help(table);
            return OPTIONS_HELP;
        }
        const struct option_row *row = code != '?' && code != ':' ? options_row(table, code) : NULL;
        int status = row != NULL ? row->apply(context, optarg) : options_explain(table, code, argv);
        if (status != 0)
            return status;
    }
    return 0;
}

int options_parse(const struct option_table *table, int argc, char **argv, void *context, int *next)
{
    char *letters = options_letters(table);
    struct option *words = options_words(table);
    int status = options_apply_all(table, argc, argv, context, letters, words);
    *next = optind;
    free(letters);
    free(words);
    return status;
}
