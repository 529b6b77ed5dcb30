/*
 * tagpool set: switch the verifier in programs that run, or show what is in force there.
 */
#include "command.h"
#include "json.h"
#include "label.h"
#include "memory.h"
#include "options.h"
#include "report.h"
#include "target.h"
#include "units.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct set {
    struct target_names names;
    struct setting_list settings;
    bool as_json;
};

static int set_add_process(void *context, const char *value)
{
    struct set *set = context;
    if (value[0] == '\0')
        return report_usage("-p needs a PID, or the name of a program.");
    target_names_add(&set->names, value);
    return 0;
}

static int set_as_json(void *context, const char *value)
{
    (void)value;
    ((struct set *)context)->as_json = true;
    return 0;
}

static const struct option_row set_rows[] = {
    {'p', "pid", "PROCESS", "a PID, or the name of a program: all processes of yours by that name; may be repeated",
     set_add_process},
    {0, "json", NULL, "show what is in force as JSON", set_as_json},
};

static const struct option_table set_table = {
    .command = "tagpool set",
    .synopsis = "-p PROCESS [SETTING ...]",
    .summary = "Switch the verifier in a program that runs, from its next allocation on; without a SETTING, show what\n"
               "is in force.",
    .rows = set_rows,
    .count = sizeof(set_rows) / sizeof(set_rows[0]),
};

/* ---- showing ---- */

static void set_show_rule(const struct tagpool_segment_rule *rule)
{
    char pattern[sizeof(rule->pattern)], sizes[48] = "";
    label_clean(pattern, sizeof(pattern), rule->pattern, sizeof(rule->pattern));
    if (rule->size_max != 0)
        snprintf(sizes, sizeof(sizes), "%llu-%llu", (unsigned long long)rule->size_min,
                 (unsigned long long)rule->size_max);
    else if (rule->size_min != 0)
        snprintf(sizes, sizeof(sizes), "%llu-", (unsigned long long)rule->size_min);
    printf("  %-16s %-12s ", pattern, sizes);
    ruleset_describe(stdout, rule);
    putchar('\n');
}

static void set_show_limit(const char *name, const char *kind, uint64_t soft, uint64_t hard, uint64_t refused)
{
    char text[UNITS_TEXT];
    printf("  %-16s limit", name);
    if (hard != 0)
        printf(" %s", units_bytes(text, hard));
    if (soft != 0)
        printf(" soft %s", units_bytes(text, soft));
    printf(", %llu refused%s\n", (unsigned long long)refused, kind);
}

static void set_show_slot(const struct tagpool_segment_slot *slot)
{
    char name[TAGPOOL_SEGMENT_NAME], tag[LABEL_TAG];
    if (slot->used == 0 || (slot->soft_bytes == 0 && slot->hard_bytes == 0))
        return;
    label_clean(name, sizeof(name), slot->name, sizeof(slot->name));
    set_show_limit(name[0] != '\0' ? name : label_tag(tag, slot->tag), slot->kind & 1 ? "" : " (nonpaged)",
                   slot->soft_bytes, slot->hard_bytes, slot->refused_total);
}

static const char *const set_pools[TAGPOOL_SEGMENT_REGIONS] = {"nonpaged", "paged"};

static int set_copy_pools(const struct segfile *file, void *context)
{
    memcpy(context, file->view.header->pool, sizeof(file->view.header->pool));
    return 0;
}

static void set_show_limits(const struct process *process)
{
    struct segfile_reading reading;
    struct tagpool_segment_pool pools[TAGPOOL_SEGMENT_REGIONS] = {{0}};
    segfile_guard(&process->file, set_copy_pools, pools);
    for (size_t kind = 0; kind < TAGPOOL_SEGMENT_REGIONS; kind++)
        if (pools[kind].soft_bytes != 0 || pools[kind].hard_bytes != 0)
            set_show_limit(set_pools[kind], " (pool)", pools[kind].soft_bytes, pools[kind].hard_bytes,
                           pools[kind].refused_total);
    if (segfile_read(&process->file, &reading) == 0)
        for (uint32_t i = 1; i < reading.count; i++)
            set_show_slot(&reading.slots[i]);
    segfile_reading_free(&reading);
}

static void set_show_process(const struct process *process, const struct control_state *state)
{
    printf("%s: %u rule%s%s\n", target_title(process), state->rules.count, state->rules.count == 1 ? "" : "s",
           state->is_seen ? "" : ", not read yet: the program has not allocated since");
    for (uint32_t i = 0; i < state->rules.count; i++)
        set_show_rule(&state->rules.rows[i]);
    set_show_limits(process);
    if (state->rules.count != 0 && !target_has_ranges(process))
        printf("  [started without --verify: functions of the C library do not look at their ranges]\n");
}

/* ---- showing as JSON ---- */

static void set_put_limit(bool *is_first, uint64_t soft, uint64_t hard, uint64_t refused)
{
    json_put_number(stdout, "soft_bytes", soft);
    json_put_number(stdout, "hard_bytes", hard);
    json_put_number(stdout, "refused", refused);
    putchar('}');
    *is_first = false;
}

static void set_put_slots(const struct process *process, bool *is_first)
{
    struct segfile_reading reading;
    if (segfile_read(&process->file, &reading) == 0)
        for (uint32_t i = 1; i < reading.count; i++) {
            const struct tagpool_segment_slot *slot = &reading.slots[i];
            if (slot->used == 0 || (slot->soft_bytes == 0 && slot->hard_bytes == 0))
                continue;
            char name[TAGPOOL_SEGMENT_NAME + 1] = "";
            memcpy(name, slot->name, TAGPOOL_SEGMENT_NAME);
            fputs(*is_first ? "{\"tag\":" : ",{\"tag\":", stdout);
            json_put_tag(stdout, slot->tag);
            json_put_word(stdout, "name", name);
            json_put_word(stdout, "pool", set_pools[slot->kind & 1]);
            set_put_limit(is_first, slot->soft_bytes, slot->hard_bytes, slot->refused_total);
        }
    segfile_reading_free(&reading);
}

static void set_put_limits(const struct process *process)
{
    struct tagpool_segment_pool pools[TAGPOOL_SEGMENT_REGIONS] = {{0}};
    bool is_first = true;
    segfile_guard(&process->file, set_copy_pools, pools);
    for (size_t kind = 0; kind < TAGPOOL_SEGMENT_REGIONS; kind++) {
        if (pools[kind].soft_bytes == 0 && pools[kind].hard_bytes == 0)
            continue;
        fputs(is_first ? "{\"tag\":null" : ",{\"tag\":null", stdout);
        json_put_word(stdout, "pool", set_pools[kind]);
        set_put_limit(&is_first, pools[kind].soft_bytes, pools[kind].hard_bytes, pools[kind].refused_total);
    }
    set_put_slots(process, &is_first);
}

static void set_put_process(const struct process *process, const struct control_state *state)
{
    printf("{\"pid\":%d,\"program\":", (int)process->pid);
    json_put_text(stdout, process->file.header.program);
    printf(",\"in_force\":%s,\"ranges\":%s,\"rules\":[", state->is_seen ? "true" : "false",
           target_has_ranges(process) ? "true" : "false");
    for (uint32_t i = 0; i < state->rules.count; i++) {
        fputs(i != 0 ? "," : "", stdout);
        ruleset_put_json(stdout, &state->rules.rows[i]);
    }
    fputs("],\"limits\":[", stdout);
    set_put_limits(process);
    fputs("]}", stdout);
}

/* ---- the command ---- */

static int set_show(const struct targets *targets, bool as_json)
{
    int status = 0;
    const char *separator = "[";
    for (size_t i = 0; i < targets->count; i++) {
        const struct process *process = targets->items[i].process;
        struct control_state state;
        if (control_read(&targets->items[i], &state) != 0) {
            report("the settings of %s cannot be read: %s.", target_title(process), control_error_text(-EFAULT));
            status = STATUS_FAILED;
        } else if (as_json) {
            fputs(separator, stdout);
            set_put_process(process, &state);
            separator = ",\n ";
        } else {
            set_show_process(process, &state);
        }
    }
    if (as_json)
        fputs(separator[0] == '[' ? "[]\n" : "]\n", stdout);
    return status;
}

/* What is wrong is told before, and what was right is waited for. */
static int set_run(struct set *set)
{
    struct targets targets;
    int status = targets_open(&targets, &set->names);
    if (status == 0 && set->settings.count != 0) {
        status = targets_change(&targets, target_apply, &set->settings);
        if (!set->as_json && status == 0)
            targets_wait(&targets);
    }
    if (status == 0 && (set->settings.count == 0 || set->as_json))
        status = set_show(&targets, set->as_json);
    targets_close(&targets);
    int written = report_flush_output();
    return status != 0 ? status : written;
}

/* Settings begin with a sign, and may stand anywhere: they are taken out, the rest is the options' parser's. */
static int set_sort_arguments(struct set *set, int argc, char **argv, char **rest, int *rest_count)
{
    *rest_count = 0;
    for (int i = 0, used = 1; i < argc; i += used) {
        used = 1;
        int status = 0;
        if (i > 0 && setting_is_word(argv[i]))
            status = setting_take(&set->settings, argv + i, &used);
        else
            rest[(*rest_count)++] = argv[i];
        if (status != 0)
            return status;
    }
    return 0;
}

static int set_parse(struct set *set, int argc, char **argv)
{
    char **rest = memory_alloc((size_t)argc + 1, sizeof(char *));
    int count, next = 0;
    int status = set_sort_arguments(set, argc, argv, rest, &count);
    if (status == 0)
        status = options_parse(&set_table, count, rest, set, &next);
    if (status == 0 && next != count)
        status = report_usage("'%s' belongs to no setting: 'tagpool set --help' lists them.", rest[next]);
    else if (status == 0 && set->names.count == 0)
        status = report_usage("no process was named: say -p PID, or -p NAME for all of a name.");
    free(rest);
    return status;
}

int command_set(int argc, char **argv)
{
    struct set set = {.as_json = false};
    int status = set_parse(&set, argc, argv);
    if (status == 0) {
        status = set_run(&set);
    } else if (status == OPTIONS_HELP) {
        setting_print_help();
        status = report_flush_output();
    }
    free(set.names.items);
    free(set.settings.items);
    return status;
}
