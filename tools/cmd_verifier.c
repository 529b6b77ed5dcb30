/*
 * verifier: the original's command lines, and `verifier run` for `tagpool run`.
 */
#include "command.h"
#include "memory.h"
#include "number.h"
#include "pattern.h"
#include "report.h"
#include "verifier.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum verifier_action {
    VERIFIER_SETTINGS,
    VERIFIER_QUERY,
    VERIFIER_QUERYSETTINGS,
    VERIFIER_RESET,
    VERIFIER_LOG,
};

/* The original looks every 30 seconds. */
enum { VERIFIER_LOG_SECONDS = 30 };

struct verifier_line {
    struct verifier what;
    enum verifier_action action;
    const char *log;
    uint32_t interval;
};

/* All that is wrong has the original's status. */
#define VERIFIER_USAGE(...) (report(__VA_ARGS__), VERIFIER_ERROR)

/* ---- options ---- */

/* An option takes what it needs of argv[1..]; *used counts those as well.  A status. */
typedef int verifier_take(struct verifier_line *line, char **argv, int *used);

static bool verifier_is_value(const char *word)
{
    return word != NULL && word[0] != '/';
}

static int verifier_take_action(struct verifier_line *line, enum verifier_action action)
{
    line->action = action;
    return 0;
}

static int verifier_take_query(struct verifier_line *line, char **argv, int *used)
{
    (void)argv;
    (void)used;
    return verifier_take_action(line, VERIFIER_QUERY);
}

static int verifier_take_querysettings(struct verifier_line *line, char **argv, int *used)
{
    (void)argv;
    (void)used;
    return verifier_take_action(line, VERIFIER_QUERYSETTINGS);
}

static int verifier_take_reset(struct verifier_line *line, char **argv, int *used)
{
    (void)argv;
    (void)used;
    return verifier_take_action(line, VERIFIER_RESET);
}

static int verifier_take_log(struct verifier_line *line, char **argv, int *used)
{
    if (argv[1] == NULL)
        return VERIFIER_USAGE("/log needs a file behind it.");
    line->log = argv[1];
    *used = 2;
    return verifier_take_action(line, VERIFIER_LOG);
}

static int verifier_take_interval(struct verifier_line *line, char **argv, int *used)
{
    uint64_t seconds;
    if (argv[1] == NULL || !number_read_any(argv[1], UINT32_MAX, &seconds) || seconds == 0)
        return VERIFIER_USAGE("/interval needs a number of seconds behind it.");
    line->interval = (uint32_t)seconds;
    *used = 2;
    return 0;
}

static int verifier_take_volatile(struct verifier_line *line, char **argv, int *used)
{
    (void)argv;
    (void)used;
    line->what.is_volatile = true;
    return 0;
}

static int verifier_take_standard(struct verifier_line *line, char **argv, int *used)
{
    (void)argv;
    (void)used;
    line->what.has_bits = true;
    line->what.bits = VERIFIER_STANDARD;
    return 0;
}

static int verifier_take_flags(struct verifier_line *line, char **argv, int *used)
{
    uint64_t bits;
    if (argv[1] == NULL || !number_read_any(argv[1], UINT32_MAX, &bits))
        return VERIFIER_USAGE("/flags needs a number behind it: decimal, or 0x9.");
    *used = 2;
    line->what.has_bits = true;
    line->what.bits = (uint32_t)bits & VERIFIER_BITS;
    if (bits != 0 && line->what.bits == 0)
        return VERIFIER_USAGE("options 0x%llX have no meaning here: 0x1 special pool, 0x4 low resources simulation and"
                              " 0x8 pool tracking have.",
                              (unsigned long long)bits);
    if ((bits & ~(uint64_t)VERIFIER_BITS) != 0)
        report("options 0x%llX have no meaning here, and are left out.",
               (unsigned long long)(bits & ~(uint64_t)VERIFIER_BITS));
    return 0;
}

static int verifier_take_all(struct verifier_line *line, char **argv, int *used)
{
    (void)argv;
    (void)used;
    target_names_add(&line->what.programs, "*");
    return 0;
}

static int verifier_take_names(struct target_names *names, char **argv, int *used)
{
    for (; verifier_is_value(argv[*used]); ++*used) {
        const char *name = argv[*used];
        if (!keptfile_is_program(name) || strpbrk(name, "*?") != NULL)
            return VERIFIER_USAGE("'%s' can be no name of a program here: give it without folders, blanks, colons and"
                                  " wildcards.",
                                  name);
        target_names_add(names, name);
    }
    return *used > 1 ? 0 : VERIFIER_USAGE("%s needs names of programs behind it.", argv[0]);
}

static int verifier_take_driver(struct verifier_line *line, char **argv, int *used)
{
    return verifier_take_names(&line->what.programs, argv, used);
}

static int verifier_take_adddriver(struct verifier_line *line, char **argv, int *used)
{
    return verifier_take_names(&line->what.added, argv, used);
}

static int verifier_take_removedriver(struct verifier_line *line, char **argv, int *used)
{
    return verifier_take_names(&line->what.removed, argv, used);
}

/* ---- faults ---- */

static int verifier_check_tag(const char *tag, void *context)
{
    (void)context;
    return pattern_is_good(tag, strlen(tag)) ? 0 : VERIFIER_USAGE("'%s' is no pool tag.", tag);
}

static int verifier_check_app(const char *app, void *context)
{
    (void)context;
    return keptfile_is_program(app) && strpbrk(app, "*?") == NULL ? 0 : VERIFIER_USAGE("'%s' is no program.", app);
}

/* Their order is fixed: Probability, Tags, Applications, Minutes; "" stands for one that is left out. */
static int verifier_take_fault_values(struct verifier_faults *faults, char **values, int count)
{
    uint64_t number;
    if (count > 0 && values[0][0] != '\0') {
        if (!number_read_any(values[0], 10000, &number) || number == 0)
            return VERIFIER_USAGE("'%s' is no probability: it is 1 to 10000, chances in 10000.", values[0]);
        faults->chances = (uint32_t)number;
    }
    if (count > 3 && values[3][0] != '\0') {
        if (!number_read_any(values[3], 10000, &number))
            return VERIFIER_USAGE("'%s' is no number of minutes.", values[3]);
        faults->minutes = (uint32_t)number;
        faults->has_minutes = true;
    }
    faults->tags = memory_copy_text(count > 1 ? values[1] : "");
    faults->apps = memory_copy_text(count > 2 ? values[2] : "");
    int status = verifier_each_word(faults->tags, verifier_check_tag, NULL);
    return status != 0 ? status : verifier_each_word(faults->apps, verifier_check_app, NULL);
}

static int verifier_take_faults(struct verifier_line *line, char **argv, int *used)
{
    struct verifier_faults *faults = &line->what.faults;
    if (faults->is_given)
        return VERIFIER_USAGE("/faults was said twice.");
    while (*used <= 4 && verifier_is_value(argv[*used]))
        ++*used;
    faults->is_given = true;
    faults->chances = WORDS_FAULT_CHANCES;
    return verifier_take_fault_values(faults, argv + 1, *used - 1);
}

/* ---- the table ---- */

static const struct {
    const char *option;
    verifier_take *take;
    const char *usage;
    const char *help;
} verifier_options[] = {
    {"standard", verifier_take_standard, "/standard", "special pool and pool tracking"},
    {"flags", verifier_take_flags, "/flags N", "1 special pool, 4 low resources simulation, 8 pool tracking"},
    {"faults", verifier_take_faults, "/faults [N [TAGS [PROGRAMS [MINUTES]]]]",
     "N of 10000 allocations fail (600), of these tags, after MINUTES (8)"},
    {"driver", verifier_take_driver, "/driver NAME ...", "for these programs"},
    {"all", verifier_take_all, "/all", "for all programs"},
    {"volatile", verifier_take_volatile, "/volatile", "now, in programs that run; with /flags, /faults, or"},
    {"adddriver", verifier_take_adddriver, "/adddriver NAME ...", "verify these, which run"},
    {"removedriver", verifier_take_removedriver, "/removedriver NAME ...", "verify these no more"},
    {"query", verifier_take_query, "/query", "counters of the programs that are verified now"},
    {"querysettings", verifier_take_querysettings, "/querysettings", "what is kept for programs that start"},
    {"log", verifier_take_log, "/log FILE", "write the counters to FILE again and again"},
    {"interval", verifier_take_interval, "/interval SECONDS", "how often (30)"},
    {"reset", verifier_take_reset, "/reset", "keep nothing any more"},
};
enum { VERIFIER_OPTIONS = sizeof(verifier_options) / sizeof(verifier_options[0]) };

/* Of the original's, those that are about what is not here. */
static const struct {
    const char *option;
    const char *why;
} verifier_not_here[] = {
    {"bootmode", "a program that is started anew begins anew"},
    {"bc", "there is no boot to count"},
    {"persistthroughupgrade", "there is no upgrade that takes settings away"},
    {"ruleclasses", "say /flags with 1, 4 and 8"},
    {"rc", "say /flags with 1, 4 and 8"},
    {"rules", "rules are in force always, each where its option is"},
    {"dif", "there are no interfaces of drivers"},
    {"now", "say /volatile"},
    {"stop", "say /volatile /removedriver NAME"},
    {"onecheck", "there are no drivers that could be isolated"},
    {"driver.exclude", "name the programs that are meant by /driver"},
    {"domain", "there are no extensions for kinds of drivers"},
    {"logging", "there are no extensions for kinds of drivers"},
    {"livedump", "there are no extensions for kinds of drivers"},
    {"faultssystematic", "say 'verifier run --systematic PROGRAM'"},
    {"iolevel", "there is no verification of requests to drivers"},
    {"disk", "there is no verification of disks"},
};

static int verifier_explain(const char *option)
{
    for (size_t i = 0; i < sizeof(verifier_not_here) / sizeof(verifier_not_here[0]); i++)
        if (strcasecmp(verifier_not_here[i].option, option + 1) == 0)
            return VERIFIER_USAGE("%s has no meaning here: %s.", option, verifier_not_here[i].why);
    return VERIFIER_USAGE("'%s' is no option of verifier: 'verifier /?' lists them.", option);
}

static int verifier_take_option(struct verifier_line *line, char **argv, int *used)
{
    *used = 1;
    for (size_t i = 0; i < VERIFIER_OPTIONS; i++)
        if (argv[0][0] == '/' && strcasecmp(verifier_options[i].option, argv[0] + 1) == 0)
            return verifier_options[i].take(line, argv, used);
    return verifier_explain(argv[0]);
}

static int verifier_help(void)
{
    printf("Usage: verifier OPTION ...\n"
           "       verifier run [OPTIONS] [--] PROGRAM [ARGUMENTS]\n"
           "Keep settings of the verifier for programs, which those have that start from then on, or change them in\n"
           "programs that run; 'verifier run' is 'tagpool run'.\n\n");
    for (size_t i = 0; i < VERIFIER_OPTIONS; i++)
        printf(strlen(verifier_options[i].usage) > 24 ? "  %s\n%27s%s\n" : "  %-24s %s%s\n", verifier_options[i].usage,
               "", verifier_options[i].help);
    return 0;
}

/* ---- the command ---- */

static int verifier_finish(const struct verifier_line *line)
{
    const struct verifier *what = &line->what;
    bool is_listed = what->added.count != 0 || what->removed.count != 0;
    if (what->has_bits && (what->bits & VERIFIER_FAULTS) != 0 && what->faults.is_given)
        return VERIFIER_USAGE("option 4 and /faults do not go together: /faults alone says both.");
    if (is_listed && !what->is_volatile)
        return VERIFIER_USAGE("/adddriver and /removedriver go together with /volatile.");
    if (line->interval != 0 && line->action != VERIFIER_LOG)
        return VERIFIER_USAGE("/interval goes together with /log.");
    if (line->action == VERIFIER_SETTINGS && !what->has_bits && !what->faults.is_given && !is_listed)
        return VERIFIER_USAGE("nothing was said to set: say /standard, /flags N or /faults.");
    return 0;
}

static int verifier_do(const struct verifier_line *line)
{
    switch (line->action) {
    case VERIFIER_QUERY: return verifier_query(stdout);
    case VERIFIER_QUERYSETTINGS: return verifier_query_settings();
    case VERIFIER_RESET: return verifier_reset();
    case VERIFIER_LOG: return verifier_log(line->log, line->interval != 0 ? line->interval : VERIFIER_LOG_SECONDS);
    default: return line->what.is_volatile ? verifier_change_running(&line->what) : verifier_keep(&line->what);
    }
}

static int verifier_run_line(int argc, char **argv)
{
    struct verifier_line line = {.action = VERIFIER_SETTINGS};
    int status = 0;
    for (int i = 1, used; i < argc && status == 0; i += used)
        status = verifier_take_option(&line, argv + i, &used);
    if (status == 0)
        status = verifier_finish(&line);
    if (status == 0)
        status = verifier_do(&line);
    free(line.what.programs.items);
    free(line.what.added.items);
    free(line.what.removed.items);
    free(line.what.faults.tags);
    free(line.what.faults.apps);
    return status;
}

static bool verifier_is_help(const char *word)
{
    return strcasecmp(word, "/?") == 0 || strcasecmp(word, "/help") == 0 || strcmp(word, "--help") == 0 ||
           strcmp(word, "-h") == 0;
}

int command_verifier(int argc, char **argv)
{
    int status;
    if (argc > 1 && strcmp(argv[1], "run") == 0)
        return command_run(argc - 1, argv + 1);
    if (argc < 2)
        status = VERIFIER_USAGE("there is no window here: 'verifier /?' lists what can be said.");
    else
        status = verifier_is_help(argv[1]) ? verifier_help() : verifier_run_line(argc, argv);
    int written = report_flush_output();
    return status != 0 ? status : written;
}
