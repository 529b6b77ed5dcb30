/*
 * poolmon: `tagpool top` in the language of the original.
 *
 * Its options begin with '/' or '-' and are whole words.  Where a letter means something else to `tagpool top`
 * (-p, -d, -n), a number behind it decides: with one it is top's, without it is the original's.
 */
#include "command.h"
#include "memory.h"
#include "report.h"
#include "top.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { POOLMON_DELAY_MS = 5000 };

/* What follows an option's letter. */
enum poolmon_value { VALUE_NONE, VALUE_ATTACHED, VALUE_FILE };

struct poolmon_row {
    char letter;
    enum poolmon_value value;
    const char *usage;
    const char *help;
    int (*apply)(struct top_options *options, const char *value);
};

static int poolmon_show_only(struct top_options *options, const char *value)
{
    if (!selection_add_pattern(&options->view.selection.only, value))
        return report_usage("/i needs a tag behind it without a blank, which must not begin with '*': say /iTag.");
    return 0;
}

static int poolmon_hide(struct top_options *options, const char *value)
{
    if (!selection_add_pattern(&options->view.selection.hidden, value))
        return report_usage("/x needs a tag behind it without a blank, which must not begin with '*': say /xTag.");
    return 0;
}

static int poolmon_next_kind(struct top_options *options, const char *value)
{
    struct selection *selection = &options->view.selection;
    (void)value;
    selection->kind = (enum selection_kind)((selection->kind + 1) % KIND_COUNT);
    return 0;
}

static int poolmon_show_totals(struct top_options *options, const char *value)
{
    (void)value;
    options->view.totals = true;
    return 0;
}

static int poolmon_toggle_change(struct top_options *options, const char *value)
{
    (void)value;
    options->view.selection.by_change = !options->view.selection.by_change;
    return 0;
}

static int poolmon_no_highlight(struct top_options *options, const char *value)
{
    (void)value;
    options->view.no_highlight = true;
    return 0;
}

static int poolmon_write_file(struct top_options *options, const char *value)
{
    options->once = true;
    options->format = TOP_FILE;
    options->path = value != NULL ? value : "poolsnap.log";
    return 0;
}

static int poolmon_no_tag_file(struct top_options *options, const char *value)
{
    (void)options;
    (void)value;
    return report_usage("/g and /c have no meaning here yet: tags carry the names of their modules without a file.");
}

static int poolmon_no_sessions(struct top_options *options, const char *value)
{
    (void)options;
    (void)value;
    return report_usage("/s has no meaning here yet: there are no session pools; for one process say -p PID.");
}

static const struct poolmon_row poolmon_rows[] = {
    {'i', VALUE_ATTACHED, "/iTag", "show this tag only; * and ? stand for any text and character", poolmon_show_only},
    {'x', VALUE_ATTACHED, "/xTag", "hide this tag", poolmon_hide},
    {'p', VALUE_NONE, "/p", "nonpaged pool only; /p /p paged pool only", poolmon_next_kind},
    {'e', VALUE_NONE, "/e", "totals", poolmon_show_totals},
    {'(', VALUE_NONE, "/( or /)", "sort by what changed", poolmon_toggle_change},
    {')', VALUE_NONE, NULL, NULL, poolmon_toggle_change},
    {'l', VALUE_NONE, "/l", "do not highlight lines that changed", poolmon_no_highlight},
    {'n', VALUE_FILE, "/n [FILE]", "write a snapshot to FILE (poolsnap.log) and exit", poolmon_write_file},
    {'g', VALUE_FILE, NULL, NULL, poolmon_no_tag_file},
    {'c', VALUE_FILE, NULL, NULL, poolmon_no_tag_file},
    {'s', VALUE_ATTACHED, NULL, NULL, poolmon_no_sessions},
};
enum { POOLMON_ROWS = sizeof(poolmon_rows) / sizeof(poolmon_rows[0]) };

static const struct poolmon_row *poolmon_find_row(const char *option)
{
    for (size_t i = 0; i < POOLMON_ROWS; i++) {
        const struct poolmon_row *row = &poolmon_rows[i];
        if (row->letter == option[0] && (row->value == VALUE_ATTACHED || option[1] == '\0'))
            return row;
    }
    return NULL;
}

static const struct selection_order *poolmon_find_order(const char *option)
{
    return option[0] != '\0' && option[1] == '\0' ? selection_find_order(option[0]) : NULL;
}

/* An option of the original with its '/' or '-', not a path that begins with one. */
static bool poolmon_is_option(const char *argument)
{
    if (argument[0] == '-')
        return true;
    return argument[0] == '/' && (poolmon_find_row(argument + 1) != NULL || poolmon_find_order(argument + 1) != NULL);
}

static void poolmon_print_help(void)
{
    printf("Usage: poolmon [/OPTION]... [-p PID]\n"
           "Show which tag holds how much memory in the layout of PoolMon; '-' works in place of '/'.\n\n");
    for (size_t i = 0; i < POOLMON_ROWS; i++)
        if (poolmon_rows[i].usage != NULL)
            printf("  %-12s %s\n", poolmon_rows[i].usage, poolmon_rows[i].help);
    for (size_t i = 0; i < selection_order_count; i++)
        printf("  /%-11c sort by %s\n", selection_orders[i].letter, selection_orders[i].name);
    printf("  %-12s %s\n", "/? /h", "print this and exit");
    printf("  %-12s %s\n", "-p PID", "this process alone");
    printf("  %-12s %s\n", "-d SECONDS", "between two snapshots (default 5)");
    printf("  %-12s %s\n", "-n COUNT", "stop after so many snapshots");
    printf("  %-12s %s\n", "--...", "the long options of 'tagpool top', with = for their value");
}

/* The arguments that are top's own, put aside for its parser. */
struct poolmon_rest {
    char **items;
    int count;
};

static bool poolmon_is_number(const char *text)
{
    return text != NULL && (isdigit((unsigned char)text[0]) || (text[0] == '.' && isdigit((unsigned char)text[1])));
}

/* How many arguments from argv[0] on belong to top's parser: 0, 1 or 2. */
static int poolmon_count_own(char **argv)
{
    const char *option = argv[0];
    if (option[0] != '-' || option[1] == '\0')
        return 0;
    if (option[1] == '-')
        return 1;
    if (strchr("pdn", option[1]) == NULL)
        return 0;
    if (option[2] == '\0')
        return poolmon_is_number(argv[1]) ? 2 : 0;
    return poolmon_is_number(option + 2) ? 1 : 0;
}

/* Apply one option of the original; *used counts the arguments it took.  A status. */
static int poolmon_apply(struct top_options *options, char **argv, int *used)
{
    const char *option = argv[0] + 1;
    const struct selection_order *order = poolmon_find_order(option);
    const struct poolmon_row *row = poolmon_find_row(option);
    *used = 1;
    if ((argv[0][0] != '/' && argv[0][0] != '-') || (order == NULL && row == NULL))
        return report_usage("'%s' is no option of poolmon: 'poolmon /?' lists them.", argv[0]);
    if (order != NULL) {
        options->view.selection.sort = order->sort;
        return 0;
    }
    if (row->value == VALUE_ATTACHED)
        return row->apply(options, option + 1);
    if (row->value == VALUE_NONE || argv[1] == NULL || poolmon_is_option(argv[1]))
        return row->apply(options, NULL);
    *used = 2;
    return row->apply(options, argv[1]);
}

static bool poolmon_is_help(const char *argument)
{
    if (strcmp(argument, "--help") == 0)
        return true;
    return (argument[0] == '/' || argument[0] == '-') && (argument[1] == '?' || argument[1] == 'h') &&
           argument[2] == '\0';
}

/* Sort the arguments into those of the original, applied at once, and those of top. */
static int poolmon_parse(struct top_options *options, int argc, char **argv, struct poolmon_rest *rest)
{
    for (int i = 1, used; i < argc; i += used) {
        if (poolmon_is_help(argv[i])) {
            poolmon_print_help();
            return OPTIONS_HELP;
        }
        used = poolmon_count_own(argv + i);
        for (int n = 0; n < used; n++)
            rest->items[rest->count++] = argv[i + n];
        int status = used == 0 ? poolmon_apply(options, argv + i, &used) : 0;
        if (status != 0)
            return status;
    }
    return 0;
}

int command_poolmon(int argc, char **argv)
{
    struct top_options options = {.delay_ms = POOLMON_DELAY_MS, .view = {.layout = LAYOUT_CLASSIC}};
    struct poolmon_rest rest = {.items = memory_alloc((size_t)argc + 1, sizeof(char *)), .count = 1};
    int next;
    rest.items[0] = argv[0];
    int status = poolmon_parse(&options, argc, argv, &rest);
    if (status == 0)
        status = options_parse(&top_table, rest.count, rest.items, &options, &next);
    if (status == 0)
        status = top_show(&options);
    else if (status == OPTIONS_HELP)
        status = report_flush_output();
    free(rest.items);
    selection_free(&options.view.selection);
    return status;
}
