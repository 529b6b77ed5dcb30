/*
 * gflags: what is kept for all programs (/r), for one (/i), and switched in those that run now (/k).
 */
#include "command.h"
#include "gflags.h"
#include "memory.h"
#include "report.h"
#include "target.h"

#include <stdlib.h>
#include <string.h>

#define GFLAGS_ALL_PROGRAMS "*"

/* ---- the table ---- */

/* A flag of the original: what it is here, for all programs and for one.  0: nothing. */
struct gflags_flag {
    const char *name;
    uint32_t bit;
    const char *text;
    uint32_t on;
    uint32_t on_image;
    uint32_t off;
};

#define GFLAGS_LIGHT TAGPOOL_SEGMENT_RULE_WATCH
#define GFLAGS_FULL (TAGPOOL_SEGMENT_RULE_SPECIAL | TAGPOOL_SEGMENT_RULE_WATCH)
#define GFLAGS_AUTO (TAGPOOL_SEGMENT_RULE_AUTO | TAGPOOL_SEGMENT_RULE_WATCH)
#define GFLAGS_TRACK TAGPOOL_SEGMENT_RULE_TRACK

static const struct gflags_flag gflags_flags[] = {
    {"soe", 0x1, "Stop on exception", 0, 0, 0},
    {"sls", 0x2, "Show loader snaps", 0, 0, 0},
    {"dic", 0x4, "Debug initial command", 0, 0, 0},
    {"shg", 0x8, "Stop on hung GUI", 0, 0, 0},
    {"htc", 0x10, "Enable heap tail checking", 0, 0, 0},
    {"hfc", 0x20, "Enable heap free checking", 0, 0, 0},
    {"hpc", 0x40, "Enable heap parameter checking", 0, 0, 0},
    {"hvc", 0x80, "Enable heap validation on call", 0, 0, 0},
    {"vrf", 0x100, "Enable application verifier", GFLAGS_AUTO, GFLAGS_AUTO, TAGPOOL_SEGMENT_RULE_AUTO},
    {"ptg", 0x400, "Enable pool tagging", 0, 0, 0},
    {"htg", 0x800, "Enable heap tagging", 0, 0, 0},
    {"ust", 0x1000, "Create user mode stack trace database", GFLAGS_TRACK, GFLAGS_TRACK, RULESET_TRACKS},
    {"kst", 0x2000, "Create kernel mode stack trace database", 0, 0, 0},
    {"otl", 0x4000, "Maintain a list of objects for each type", 0, 0, 0},
    {"htd", 0x8000, "Enable heap tagging by DLL", 0, 0, 0},
    {"dse", 0x10000, "Disable stack extension", 0, 0, 0},
    {"d32", 0x20000, "Enable debugging of Win32 subsystem", 0, 0, 0},
    {"ksl", 0x40000, "Enable loading of kernel debugger symbols", 0, 0, 0},
    {"dps", 0x80000, "Disable paging of kernel stacks", 0, 0, 0},
    {"scb", 0x100000, "Enable system critical breaks", 0, 0, 0},
    {"dhc", 0x200000, "Disable heap coalesce on free", 0, 0, 0},
    {"ece", 0x400000, "Enable close exception", 0, 0, 0},
    {"eel", 0x800000, "Enable exception logging", 0, 0, 0},
    {"eot", 0x1000000, "Enable object handle type tagging", 0, 0, 0},
    {"hpa", 0x2000000, "Enable page heap", GFLAGS_LIGHT, GFLAGS_FULL, GFLAGS_FULL},
    {"dwl", 0x4000000, "Debug WinLogon", 0, 0, 0},
    {"ddp", 0x8000000, "Buffer DbgPrint output", 0, 0, 0},
    {"cse", 0x10000000, "Early critical section event creation", 0, 0, 0},
    {"sue", 0x20000000, "Stop on unhandled user-mode exception", 0, 0, 0},
    {"bhd", 0x40000000, "Enable bad handles detection", 0, 0, 0},
    {"dpd", 0x80000000, "Disable protected DLL verification", 0, 0, 0},
    {"lpg", 0, "Load image using large pages if possible", 0, 0, 0},
};
enum { GFLAGS_COUNT = sizeof(gflags_flags) / sizeof(gflags_flags[0]) };

#define GFLAGS_EVERY 0xffffffffu

int gflags_no_meaning(const char *what, const char *why)
{
    report("%s has no meaning here: %s.", what, why);
    return STATUS_FAILED;
}

bool gflags_is_option(const char *word, const char *option)
{
    return word != NULL && (word[0] == '/' || word[0] == '-') && strcasecmp(word + 1, option) == 0;
}

/* ---- what to do ---- */

enum gflags_where { GFLAGS_REGISTRY, GFLAGS_RUNNING, GFLAGS_IMAGE };

/* One argument: flags, or special pool. */
struct gflags_step {
    bool is_on;
    uint32_t bits;
    const struct setting *special; /* in the list; NULL: bits */
};

struct gflags {
    enum gflags_where where;
    const char *image; /* or GFLAGS_ALL_PROGRAMS */
    struct gflags_step *steps;
    size_t count;
    struct setting_list settings;
};

/* Original values of the bits that a set of rules is.  Special pool is none of them, but for one program's page heap.
 */
static uint32_t gflags_bits(const struct ruleset *rules, enum gflags_where where)
{
    uint32_t flags = ruleset_flags_for_all(rules), bits = 0;
    bool is_heap =
        where == GFLAGS_IMAGE ? gflags_is_heap(rules) : (flags & (GFLAGS_FULL | GFLAGS_AUTO)) == GFLAGS_LIGHT;
    bits |= (flags & TAGPOOL_SEGMENT_RULE_AUTO) != 0 ? 0x100 : 0;
    bits |= (flags & RULESET_TRACKS) != 0 ? 0x1000 : 0;
    return bits | (is_heap ? 0x2000000 : 0);
}

static bool gflags_switch_flag(struct ruleset *rules, const struct gflags_flag *flag, bool is_on,
                               enum gflags_where where)
{
    struct tagpool_segment_rule rule = {.pattern = "*", .one_in = 1};
    rule.flags = where == GFLAGS_IMAGE ? flag->on_image : flag->on;
    if (is_on)
        return ruleset_switch_on(rules, &rule);
    if (where == GFLAGS_IMAGE)
        ruleset_switch_off(rules, &rule, flag->off);
    else
        ruleset_switch_off_for_all(rules, flag->off & ~(uint32_t)TAGPOOL_SEGMENT_RULE_SPECIAL);
    return true;
}

static bool gflags_switch(struct ruleset *rules, const struct gflags_step *step, enum gflags_where where)
{
    unsigned changed = 0;
    bool is_good = true;
    if (step->special != NULL)
        return setting_apply(step->special, rules, &changed);
    for (size_t i = 0; i < GFLAGS_COUNT; i++)
        if ((gflags_flags[i].bit & step->bits) != 0 && gflags_flags[i].off != 0)
            is_good &= gflags_switch_flag(rules, &gflags_flags[i], step->is_on, where);
    return is_good;
}

static int gflags_switch_all(const struct gflags *gflags, struct ruleset *rules)
{
    for (size_t i = 0; i < gflags->count; i++)
        if (!gflags_switch(rules, &gflags->steps[i], gflags->where)) {
            report("there are %u rules, and no more are possible: take one away first, by -spp.",
                   TAGPOOL_SEGMENT_RULES);
            return STATUS_FAILED;
        }
    return 0;
}

/* ---- showing ---- */

static void gflags_print_bits(uint32_t bits)
{
    for (size_t i = 0; i < GFLAGS_COUNT; i++)
        if ((gflags_flags[i].bit & bits) != 0)
            printf("    %s - %s\n", gflags_flags[i].name, gflags_flags[i].text);
}

/* A tag as a number, its first character lowest; a size as it was said; what is neither, as text. */
static void gflags_print_special(const struct setting *setting)
{
    const struct tagpool_segment_rule *rule = &setting->rule;
    size_t length = strlen(rule->pattern);
    uint32_t value = 0;
    if (!setting->is_on) {
        printf("Special Pool value has been deleted.\n");
        return;
    }
    memcpy(&value, rule->pattern, length < sizeof(value) ? length : sizeof(value));
    if (rule->size_max != 0 && rule->size_max % 16 == 0 && (rule->size_max - rule->size_min) / 16 <= 1)
        printf("Special Pool set to 0x%llx\n", (unsigned long long)rule->size_max + 16);
    else if (rule->size_max != 0)
        printf("Special Pool set to %llu-%llu\n", (unsigned long long)rule->size_min,
               (unsigned long long)rule->size_max);
    else if (length <= sizeof(value))
        printf("Special Pool set to 0x%x\n", value);
    else
        printf("Special Pool set to %s\n", rule->pattern);
    printf("PoolTagOverruns set to 0x1\n");
}

static void gflags_print_specials(const struct gflags *gflags)
{
    for (size_t i = 0; i < gflags->count; i++)
        if (gflags->steps[i].special != NULL)
            gflags_print_special(gflags->steps[i].special);
}

static void gflags_print(const struct gflags *gflags, uint32_t bits, bool is_there)
{
    gflags_print_specials(gflags);
    if (gflags->where == GFLAGS_IMAGE && !is_there)
        printf("No Registry Settings for %s executable\n", gflags->image);
    else if (gflags->where == GFLAGS_IMAGE)
        printf("Current Registry Settings for %s executable are: %08x\n", gflags->image, bits);
    else
        printf("Current %s Settings are: %08x\n", gflags->where == GFLAGS_REGISTRY ? "Boot Registry" : "Running Kernel",
               bits);
    gflags_print_bits(bits);
}

/* ---- kept: /r and /i ---- */

static int gflags_change_kept(const struct gflags *gflags, struct keptfile *file)
{
    struct words words;
    bool is_there = keptfile_get(file, gflags->image, &words);
    int status = 0;
    if (gflags->count != 0) {
        status = gflags_switch_all(gflags, &words.rules);
        if (status != 0)
            return status;
        keptfile_put(file, gflags->image, &words);
        status = keptfile_write(file);
        is_there = words_line_count(&words) != 0;
    }
    if (status == 0)
        gflags_print(gflags, gflags_bits(&words.rules, gflags->where), is_there);
    return status;
}

static int gflags_run_kept(const struct gflags *gflags)
{
    struct keptfile file;
    int status = gflags->count != 0 ? keptfile_open_to_change(&file) : keptfile_open(&file);
    if (status == 0)
        status = gflags_change_kept(gflags, &file);
    keptfile_close(&file);
    return status;
}

/* ---- running: /k ---- */

static int gflags_change_target(struct target_change *change, void *context)
{
    const struct gflags *gflags = context;
    change->is_changed = true;
    return gflags_switch_all(gflags, &change->rules);
}

/* What is on in one of them at least. */
static uint32_t gflags_running_bits(const struct targets *targets)
{
    struct control_state state;
    uint32_t bits = 0;
    for (size_t i = 0; i < targets->count; i++)
        if (control_read(&targets->items[i], &state) == 0)
            bits |= gflags_bits(&state.rules, GFLAGS_RUNNING);
    return bits;
}

static int gflags_run_running(struct gflags *gflags)
{
    const struct target_names nobody = {.count = 0};
    struct targets targets;
    int status = targets_open(&targets, &nobody);
    if (status == 0 && gflags->count != 0 && targets.count == 0) {
        report("no program of yours runs under tagpool, so nothing was set: /r keeps it for those that start.");
        status = STATUS_FAILED;
    }
    if (status == 0 && gflags->count != 0)
        status = targets_change(&targets, gflags_change_target, gflags);
    if (status == 0)
        gflags_print(gflags, gflags_running_bits(&targets), true);
    targets_close(&targets);
    return status;
}

/* ---- arguments ---- */

static const char *gflags_why(const struct gflags_flag *flag)
{
    if (strcmp(flag->name, "ptg") == 0)
        return "pools always have tags";
    if (flag->bit != 0 && (flag->bit & 0xf0) == flag->bit)
        return "say +hpa for patterns around blocks and kept ones that were freed";
    return "it is about Windows itself, not about its pools";
}

/* The first of the bits that are nothing here is refused. */
static int gflags_check_bits(uint32_t bits)
{
    for (size_t i = 0; i < GFLAGS_COUNT; i++)
        if ((gflags_flags[i].bit & bits) != 0 && gflags_flags[i].off == 0)
            return gflags_no_meaning(gflags_flags[i].name, gflags_why(&gflags_flags[i]));
    if ((bits & 0x200) != 0)
        return gflags_no_meaning("200", "it is about Windows itself, not about its pools");
    return 0;
}

static bool gflags_read_bits(const char *text, uint32_t *bits)
{
    char *end;
    if (text[0] == '\0' || strspn(text, "0123456789abcdefABCDEF") != strlen(text) || strlen(text) > 8)
        return false;
    *bits = (uint32_t)strtoul(text, &end, 16);
    return true;
}

static void gflags_add_step(struct gflags *gflags, struct gflags_step step)
{
    gflags->steps = memory_grow(gflags->steps, gflags->count, sizeof(*gflags->steps));
    gflags->steps[gflags->count++] = step;
}

static int gflags_take_bits(struct gflags *gflags, uint32_t bits, bool is_on)
{
    /* For an image it deletes the value, with either sign; elsewhere '-' clears it. */
    bool is_all = bits == GFLAGS_EVERY && (!is_on || gflags->where == GFLAGS_IMAGE);
    int status = is_all ? 0 : gflags_check_bits(bits);
    if (status == 0)
        gflags_add_step(gflags, (struct gflags_step){.is_on = is_on && !is_all, .bits = bits});
    return status;
}

static int gflags_take_flag(struct gflags *gflags, const char *word)
{
    uint32_t bits;
    bool has_sign = word[0] == '+' || word[0] == '-';
    for (size_t i = 0; i < GFLAGS_COUNT; i++) {
        const struct gflags_flag *flag = &gflags_flags[i];
        if (strcasecmp(flag->name, word + has_sign) != 0)
            continue;
        if (!has_sign && !gflags_read_bits(word, &bits))
            return report_usage("%s alone sets nothing: say +%s or -%s.", word, word, word);
        if (has_sign)
            return flag->bit != 0 ? gflags_take_bits(gflags, flag->bit, word[0] == '+')
                                  : gflags_no_meaning(flag->name, gflags_why(flag));
    }
    if (gflags_read_bits(word + has_sign, &bits))
        return gflags_take_bits(gflags, bits, word[0] != '-');
    return report_usage("'%s' is no flag: 'gflags /?' lists them.", word);
}

/* As `tagpool set` reads it; the step finds its setting again by number, for the list may move. */
static int gflags_take_special(struct gflags *gflags, char **argv, int *used)
{
    if (gflags->where == GFLAGS_IMAGE)
        return report_usage("spp is for /r and /k: for one program that runs say -p NAME %s TAG.", argv[0]);
    int status = setting_take(&gflags->settings, argv, used);
    if (status == 0)
        gflags_add_step(gflags, (struct gflags_step){.is_on = argv[0][0] == '+', .bits = 0});
    return status;
}

static void gflags_link_settings(struct gflags *gflags)
{
    size_t next = 0;
    for (size_t i = 0; i < gflags->count && next < gflags->settings.count; i++)
        if (gflags->steps[i].bits == 0)
            gflags->steps[i].special = &gflags->settings.items[next++];
}

static int gflags_take_all(struct gflags *gflags, int argc, char **argv)
{
    for (int i = 0, used; i < argc; i += used) {
        used = 1;
        int status;
        if (strcmp(argv[i], "+spp") == 0 || strcmp(argv[i], "-spp") == 0)
            status = gflags_take_special(gflags, argv + i, &used);
        else if (gflags_is_option(argv[i], "tracedb"))
            status = gflags_no_meaning("/tracedb", "the memory for stacks grows as it is needed");
        else
            status = gflags_take_flag(gflags, argv[i]);
        if (status != 0)
            return status;
    }
    gflags_link_settings(gflags);
    return 0;
}

static int gflags_run(struct gflags *gflags, int argc, char **argv)
{
    int status = gflags_take_all(gflags, argc, argv);
    if (status == 0)
        status = gflags->where == GFLAGS_RUNNING ? gflags_run_running(gflags) : gflags_run_kept(gflags);
    free(gflags->steps);
    free(gflags->settings.items);
    return status;
}

static int gflags_run_image(int argc, char **argv)
{
    struct gflags gflags = {.where = GFLAGS_IMAGE};
    if (argc < 1)
        return report_usage("/i needs the name of a program behind it.");
    gflags.image = argv[0];
    if (!keptfile_is_program(argv[0]))
        return report_usage("'%s' can be no name of a program here: give it without folders, blanks and colons.",
                            argv[0]);
    return gflags_run(&gflags, argc - 1, argv + 1);
}

/* ---- the command ---- */

static int gflags_help(void)
{
    printf("Usage: gflags {/r | /k} [{+|-}FLAG ...]\n"
           "       gflags {/r | /k} {+|-}spp {TAG | 0xSIZE}\n"
           "       gflags /i PROGRAM [{+|-}FLAG ...]\n"
           "       gflags /p [/enable PROGRAM [HOW ...] | /disable PROGRAM | /?]\n"
           "       gflags -p {PID | NAME} SETTING ...\n"
           "Keep settings of the verifier for all programs of yours (/r) or for one (/i), which those have that start\n"
           "from then on; or switch them in all that run now (/k).  Without flags, show them.\n\n"
           "Flags that are something here; as numbers, they are hexadecimal:\n");
    for (size_t i = 0; i < GFLAGS_COUNT; i++)
        if (gflags_flags[i].off != 0)
            printf("  %s  %8x  %s\n", gflags_flags[i].name, gflags_flags[i].bit, gflags_flags[i].text);
    printf(
        "\nhpa is special pool for one program, and patterns around blocks for all; ust is call stacks; vrf is\n"
        "special pool for the first blocks of each call.  'gflags /p /?' tells of page heap, 'tagpool set --help' of\n"
        "SETTING, 'man gflags' of all.\n");
    return 0;
}

static int gflags_dispatch(int argc, char **argv)
{
    struct gflags gflags = {.image = GFLAGS_ALL_PROGRAMS};
    const char *first = argc > 1 ? argv[1] : "";
    if (argc < 2)
        return gflags_no_meaning("gflags alone", "there is no dialog; 'gflags /?' lists what there is");
    if (gflags_is_option(first, "?") || gflags_is_option(first, "h") || strcmp(first, "--help") == 0)
        return gflags_help();
    if (strcmp(first, "-p") == 0 && argc > 2 && argv[2][0] != '/' && argv[2][0] != '-')
        return command_set(argc, argv);
    if (gflags_is_option(first, "p"))
        return gflags_heap(argc - 2, argv + 2);
    if (gflags_is_option(first, "i"))
        return gflags_run_image(argc - 2, argv + 2);
    if (gflags_is_option(first, "ro") || gflags_is_option(first, "ko"))
        return gflags_no_meaning(first, "there are no kernel objects whose references could be traced");
    gflags.where = gflags_is_option(first, "k") ? GFLAGS_RUNNING : GFLAGS_REGISTRY;
    if (gflags.where == GFLAGS_RUNNING || gflags_is_option(first, "r"))
        return gflags_run(&gflags, argc - 2, argv + 2);
    return report_usage("'%s' is nothing that gflags knows: 'gflags /?' lists what there is.", first);
}

int command_gflags(int argc, char **argv)
{
    int status = gflags_dispatch(argc, argv);
    int written = report_flush_output();
    return status != 0 ? status : written;
}
