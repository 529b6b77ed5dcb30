#include "gflags.h"
#include "memory.h"
#include "number.h"
#include "report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What page heap is made of. */
#define HEAP_PLACES (TAGPOOL_SEGMENT_RULE_EXACT | TAGPOOL_SEGMENT_RULE_UNDER | TAGPOOL_SEGMENT_RULE_MIXED)
#define HEAP_BLOCKS (TAGPOOL_SEGMENT_RULE_SPECIAL | TAGPOOL_SEGMENT_RULE_AUTO | TAGPOOL_SEGMENT_RULE_WATCH)

/* Which blocks have a zone behind them, of which the original allows one choice a command. */
enum heap_choice { HEAP_LIGHT, HEAP_FULL, HEAP_RANDOM, HEAP_SIZE, HEAP_DLLS };

struct heap {
    const char *image;
    enum heap_choice choice;
    bool is_backwards;
    bool is_unaligned;
    bool is_leaks;
    uint64_t percent;
    uint64_t size_min;
    uint64_t size_max;
    const char *dlls; /* with commas in between */
    bool has_fault;
    uint64_t fault_chances;
    uint64_t fault_seconds;
};

bool gflags_is_heap(const struct ruleset *rules)
{
    for (uint32_t i = 0; i < rules->count; i++) {
        uint32_t blocks = rules->rows[i].flags & HEAP_BLOCKS;
        if ((blocks & TAGPOOL_SEGMENT_RULE_SPECIAL) != 0 || blocks == TAGPOOL_SEGMENT_RULE_WATCH)
            return true;
    }
    return false;
}

/* ---- the rules ---- */

static uint32_t heap_places(const struct heap *heap)
{
    return (heap->is_backwards ? TAGPOOL_SEGMENT_RULE_UNDER : 0u) |
           (heap->is_unaligned ? TAGPOOL_SEGMENT_RULE_EXACT : 0u);
}

static struct tagpool_segment_rule heap_rule(const struct heap *heap, bool is_full)
{
    struct tagpool_segment_rule rule = {.pattern = "*", .flags = TAGPOOL_SEGMENT_RULE_WATCH};
    if (heap->is_leaks && !is_full)
        rule.flags |= TAGPOOL_SEGMENT_RULE_TRACK;
    if (is_full) {
        rule.flags |= TAGPOOL_SEGMENT_RULE_SPECIAL | heap_places(heap);
        rule.one_in = 1;
    }
    return rule;
}

static bool heap_add_dlls(const struct heap *heap, struct ruleset *rules)
{
    struct tagpool_segment_rule rule = heap_rule(heap, true);
    bool is_good = true;
    for (const char *at = heap->dlls; is_good; at++) {
        size_t length = strcspn(at, ",");
        memset(rule.pattern, 0, sizeof(rule.pattern));
        memcpy(rule.pattern, at, length);
        is_good = ruleset_append(rules, &rule);
        at += length;
        if (*at == '\0')
            break;
    }
    return is_good;
}

/* The part that has zones; the rest has patterns. */
static bool heap_add_part(const struct heap *heap, struct ruleset *rules)
{
    struct tagpool_segment_rule rule = heap_rule(heap, heap->choice != HEAP_LIGHT && heap->choice != HEAP_DLLS);
    struct tagpool_segment_rule rest = heap_rule(heap, false);
    if (heap->choice == HEAP_DLLS)
        return heap_add_dlls(heap, rules) && ruleset_append(rules, &rest);
    if (heap->choice == HEAP_SIZE) {
        rule.size_min = heap->size_min;
        rule.size_max = heap->size_max;
        return ruleset_append(rules, &rule) && ruleset_append(rules, &rest);
    }
    if (heap->choice == HEAP_RANDOM && heap->percent == 0)
        rule = rest;
    else if (heap->choice == HEAP_RANDOM)
        rule.one_in = (uint32_t)((100 + heap->percent / 2) / heap->percent);
    return ruleset_append(rules, &rule);
}

static bool heap_add_fault(const struct heap *heap, struct ruleset *rules)
{
    const struct tagpool_segment_rule rule = {.pattern = "*",
                                              .flags = TAGPOOL_SEGMENT_RULE_FAIL,
                                              .fail_chances = (uint32_t)heap->fault_chances,
                                              .fail_after_ms = (uint32_t)heap->fault_seconds * 1000};
    return !heap->has_fault || ruleset_append(rules, &rule);
}

/* What page heap had put there; looking for leaks tracks all blocks. */
static void heap_clear(struct words *words)
{
    const struct tagpool_segment_rule all = {.pattern = "*"};
    if (words->leaks)
        ruleset_switch_off_for_all(&words->rules, RULESET_TRACKS);
    ruleset_switch_off(&words->rules, &all, HEAP_BLOCKS | HEAP_PLACES | TAGPOOL_SEGMENT_RULE_FAIL);
    words->leaks = false;
}

/* ---- showing ---- */

static bool heap_is_for_some(const struct tagpool_segment_rule *rule)
{
    return rule->size_min != 0 || rule->size_max != 0 || rule->one_in > 1 || strcmp(rule->pattern, "*") != 0;
}

/* Which blocks have zones, as it was said; nothing where all of them have. */
static const char *heap_part(const struct ruleset *rules)
{
    const char *part = "";
    for (uint32_t i = 0; i < rules->count; i++) {
        const struct tagpool_segment_rule *rule = &rules->rows[i];
        if ((rule->flags & TAGPOOL_SEGMENT_RULE_SPECIAL) == 0)
            continue;
        if (!heap_is_for_some(rule))
            return "";
        part = rule->one_in > 1 ? "random " : rule->size_max != 0 || rule->size_min != 0 ? "size " : "dlls ";
    }
    return part;
}

/* Traces there are always: special pool and patterns keep the stacks of their blocks. */
static void heap_show_image(const char *image, const struct words *words)
{
    uint32_t flags = ruleset_flags(&words->rules);
    printf("%s: page heap enabled with flags (%s%straces %s%s%s%s)\n", image,
           (flags & TAGPOOL_SEGMENT_RULE_SPECIAL) != 0 ? "full " : "", heap_part(&words->rules),
           (flags & TAGPOOL_SEGMENT_RULE_UNDER) != 0 ? "backwards " : "",
           (flags & TAGPOOL_SEGMENT_RULE_EXACT) != 0 ? "unaligned " : "",
           (flags & TAGPOOL_SEGMENT_RULE_FAIL) != 0 ? "fault " : "", words->leaks ? "leaks " : "");
}

static int heap_show(const struct keptfile *file)
{
    const char *image;
    struct words words;
    unsigned shown = 0;
    for (size_t n = 0; (image = keptfile_program(file, n)) != NULL; n++) {
        if (strcmp(image, "*") == 0 || !keptfile_get(file, image, &words) || !gflags_is_heap(&words.rules))
            continue;
        heap_show_image(image, &words);
        shown++;
    }
    if (shown == 0)
        printf("No application has page heap enabled.\n");
    return 0;
}

/* ---- changing ---- */

static int heap_write(struct keptfile *file, const char *image, const struct words *words)
{
    keptfile_put(file, image, words);
    int status = keptfile_write(file);
    return status != 0 ? status : heap_show(file);
}

static int heap_enable_in(struct keptfile *file, const struct heap *heap)
{
    struct words words;
    keptfile_get(file, heap->image, &words);
    heap_clear(&words);
    words.leaks = heap->is_leaks;
    if (heap_add_part(heap, &words.rules) && heap_add_fault(heap, &words.rules))
        return heap_write(file, heap->image, &words);
    report("that takes more than %u rules for %s: name fewer libraries.", TAGPOOL_SEGMENT_RULES, heap->image);
    return STATUS_FAILED;
}

static int heap_enable(const struct heap *heap)
{
    struct keptfile file;
    int status = keptfile_open_to_change(&file);
    if (status == 0)
        status = heap_enable_in(&file, heap);
    keptfile_close(&file);
    return status;
}

static int heap_disable(const char *image)
{
    struct keptfile file;
    struct words words;
    int status = keptfile_open_to_change(&file);
    if (status == 0) {
        keptfile_get(&file, image, &words);
        heap_clear(&words);
        status = heap_write(&file, image, &words);
    }
    keptfile_close(&file);
    return status;
}

static int heap_list(void)
{
    struct keptfile file;
    int status = keptfile_open(&file);
    if (status == 0)
        heap_show(&file);
    keptfile_close(&file);
    return status;
}

/* ---- arguments ---- */

/* Take options that stand behind argv[0]: *used counts it and what belongs to it.  A status. */
typedef int heap_take(struct heap *heap, char **argv, int *used);

static int heap_choose(struct heap *heap, const char *option, enum heap_choice choice)
{
    if (heap->choice != HEAP_LIGHT)
        return report_usage(
            "%s does not go together with what was said before: one of /full, /random, /size and /dlls.", option);
    heap->choice = choice;
    return 0;
}

static int heap_take_full(struct heap *heap, char **argv, int *used)
{
    (void)used;
    return heap_choose(heap, argv[0], HEAP_FULL);
}

static bool heap_take_number(char **argv, int *used, uint64_t most, uint64_t *number)
{
    if (argv[*used] == NULL || !number_read_any(argv[*used], most, number))
        return false;
    ++*used;
    return true;
}

static int heap_take_random(struct heap *heap, char **argv, int *used)
{
    if (!heap_take_number(argv, used, 100, &heap->percent))
        return report_usage("/random needs a number of percent behind it, 0 to 100.");
    return heap_choose(heap, argv[0], HEAP_RANDOM);
}

static int heap_take_size(struct heap *heap, char **argv, int *used)
{
    if (!heap_take_number(argv, used, INT64_MAX, &heap->size_min) ||
        !heap_take_number(argv, used, INT64_MAX, &heap->size_max) || heap->size_max < heap->size_min ||
        heap->size_max == 0)
        return report_usage("/size needs the smallest and the largest size behind it.");
    return heap_choose(heap, argv[0], HEAP_SIZE);
}

static bool heap_are_dlls(const char *list)
{
    for (;; list++) {
        size_t length = strcspn(list, ",");
        char *name = memory_format("%.*s", (int)length, list);
        bool is_good = keptfile_is_program(name);
        free(name);
        list += length;
        if (!is_good || *list == '\0')
            return is_good;
    }
}

static int heap_take_dlls(struct heap *heap, char **argv, int *used)
{
    heap->dlls = argv[1];
    if (heap->dlls == NULL || !heap_are_dlls(heap->dlls))
        return report_usage("/dlls needs names of libraries behind it, with commas in between: libssl.so.3,libc*.");
    *used = 2;
    return heap_choose(heap, argv[0], HEAP_DLLS);
}

static int heap_take_backwards(struct heap *heap, char **argv, int *used)
{
    (void)argv;
    (void)used;
    heap->is_backwards = true;
    return 0;
}

static int heap_take_unaligned(struct heap *heap, char **argv, int *used)
{
    (void)argv;
    (void)used;
    heap->is_unaligned = true;
    return 0;
}

static int heap_take_leaks(struct heap *heap, char **argv, int *used)
{
    (void)argv;
    (void)used;
    heap->is_leaks = true;
    return 0;
}

/* The original's defaults: 1 percent, and nothing in the first 5 seconds. */
static int heap_take_fault(struct heap *heap, char **argv, int *used)
{
    heap->has_fault = true;
    heap->fault_chances = 100;
    heap->fault_seconds = 5;
    if (!heap_take_number(argv, used, 10000, &heap->fault_chances))
        return argv[1] == NULL || argv[1][0] == '/' || argv[1][0] == '-'
                   ? 0
                   : report_usage("/fault takes chances in 10000 and seconds, not '%s'.", argv[1]);
    if (heap->fault_chances == 0)
        return report_usage("/fault takes 1 to 10000 chances in 10000.");
    heap_take_number(argv, used, 1000000, &heap->fault_seconds);
    return 0;
}

/* Accepted and ignored, as the original does. */
static int heap_take_decommit(struct heap *heap, char **argv, int *used)
{
    (void)heap;
    (void)argv;
    (void)used;
    return 0;
}

static int heap_take_nothing(struct heap *heap, char **argv, int *used)
{
    static const struct {
        const char *option;
        const char *why;
    } rows[] = {
        {"address", "say /dlls, or -p NAME +fail TAG=site:LIBRARY+0xOFFSET"},
        {"debug", "a report is printed, and the program ends by SIGABRT: start it in a debugger"},
        {"kdebug", "there is no kernel debugger"},
        {"notraces", "stops tell who allocated and freed a block, always"},
        {"protect", "accounts of the heap do not lie between blocks"},
        {"no_sync", "the heap may be used by all threads at once"},
        {"no_lock_checks", "there is no checking of locks"},
    };
    (void)heap;
    (void)used;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (gflags_is_option(argv[0], rows[i].option))
            return gflags_no_meaning(argv[0], rows[i].why);
    return report_usage("'%s' is nothing that page heap knows: 'gflags /p /?' lists what there is.", argv[0]);
}

static const struct {
    const char *option;
    heap_take *take;
    const char *usage;
    const char *help;
} heap_options[] = {
    {"full", heap_take_full, "/full", "special pool for every block: a guard page behind it"},
    {"random", heap_take_random, "/random PERCENT", "special pool for so many of 100, by chance"},
    {"size", heap_take_size, "/size FROM TO", "special pool for blocks of FROM to TO bytes"},
    {"dlls", heap_take_dlls, "/dlls LIB,...", "special pool for what these libraries allocate"},
    {"backwards", heap_take_backwards, "/backwards", "the guard page before the block"},
    {"unaligned", heap_take_unaligned, "/unaligned", "blocks end at the guard page to the byte"},
    {"fault", heap_take_fault, "/fault [N [SECONDS]]",
     "N of 10000 allocations fail (100), not in the first seconds (5)"},
    {"leaks", heap_take_leaks, "/leaks", "look for lost blocks at the end"},
    {"decommit", heap_take_decommit, NULL, NULL},
};
enum { HEAP_OPTIONS = sizeof(heap_options) / sizeof(heap_options[0]) };

static int heap_take_option(struct heap *heap, char **argv, int *used)
{
    *used = 1;
    for (size_t i = 0; i < HEAP_OPTIONS; i++)
        if (gflags_is_option(argv[0], heap_options[i].option))
            return heap_options[i].take(heap, argv, used);
    return heap_take_nothing(heap, argv, used);
}

static int heap_finish(const struct heap *heap)
{
    if (heap->is_backwards && heap->choice == HEAP_LIGHT)
        return report_usage("/backwards goes together with /full, for patterns stand on both sides.");
    if (heap->is_leaks && heap->choice == HEAP_FULL)
        return report_usage("/leaks does not go together with /full: say one of them.");
    return heap_enable(heap);
}

static int heap_take_all(struct heap *heap, int argc, char **argv)
{
    for (int i = 0, used; i < argc; i += used) {
        int status = heap_take_option(heap, argv + i, &used);
        if (status != 0)
            return status;
    }
    return heap_finish(heap);
}

static int heap_help(void)
{
    printf("Usage: gflags /p [/enable PROGRAM [HOW ...] | /disable PROGRAM]\n"
           "Keep page heap for a program, from its next start on; without /enable and /disable, list who has it.\n"
           "Without HOW: patterns around each block, and freed blocks kept from use.\n\nHOW:\n");
    for (size_t i = 0; i < HEAP_OPTIONS; i++)
        if (heap_options[i].usage != NULL)
            printf("  %-21s %s\n", heap_options[i].usage, heap_options[i].help);
    return 0;
}

int gflags_heap(int argc, char **argv)
{
    struct heap heap = {.choice = HEAP_LIGHT};
    if (argc == 0)
        return heap_list();
    if (gflags_is_option(argv[0], "?"))
        return heap_help();
    bool is_enable = gflags_is_option(argv[0], "enable");
    if (!is_enable && !gflags_is_option(argv[0], "disable"))
        return report_usage("'%s' is nothing that page heap knows: 'gflags /p /?' lists what there is.", argv[0]);
    if (argc < 2 || !keptfile_is_program(argv[1]))
        return report_usage("%s needs the name of a program behind it, without folders, blanks and colons.", argv[0]);
    heap.image = argv[1];
    if (is_enable)
        return heap_take_all(&heap, argc - 2, argv + 2);
    return argc == 2 ? heap_disable(argv[1]) : report_usage("/disable takes a program alone, not '%s'.", argv[2]);
}
