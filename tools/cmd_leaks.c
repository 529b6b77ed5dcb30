/*
 * tagpool leaks: which blocks of a program that runs can be reached by it no more.
 */
#include "command.h"
#include "json.h"
#include "label.h"
#include "leakscan.h"
#include "loaded.h"
#include "memory.h"
#include "number.h"
#include "options.h"
#include "report.h"
#include "stop_json.h"
#include "stop_text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* As `run` has it for leaks and no stops. */
enum { LEAKS_STATUS_LOST = 4 };

struct leaks {
    pid_t pid;
    bool as_json;
    bool all;
};

/* ---- options ---- */

static int leaks_set_pid(void *context, const char *value)
{
    uint64_t pid;
    const char *at = value;
    if (!number_read(&at, "", INT32_MAX, &pid) || pid == 0)
        return report_usage("'%s' is no process ID: give a number, as ps shows it.", value);
    ((struct leaks *)context)->pid = (pid_t)pid;
    return 0;
}

static int leaks_set_json(void *context, const char *value)
{
    (void)value;
    ((struct leaks *)context)->as_json = true;
    return 0;
}

static int leaks_set_all(void *context, const char *value)
{
    (void)value;
    ((struct leaks *)context)->all = true;
    return 0;
}

static const struct option_row leaks_rows[] = {
    {'p', "pid", "PID", "the process to look at", leaks_set_pid},
    {0, "all", NULL, "tell of reachable blocks, too, by tag", leaks_set_all},
    {0, "json", NULL, "one JSON object a line", leaks_set_json},
};

static const struct option_table leaks_table = {
    .command = "tagpool leaks",
    .synopsis = "-p PID [OPTIONS]",
    .summary =
        "Stop a program that runs under tagpool for a moment, and tell which of its blocks no pointer leads to:\n"
        "by tag, and by the calls that allocated them where these are tracked ('tagpool set -p PID +track').",
    .rows = leaks_rows,
    .count = sizeof(leaks_rows) / sizeof(leaks_rows[0]),
};

/* ---- groups ---- */

/* What has been found, and what tells about it. */
struct leaks_view {
    const struct leaks *leaks;
    const struct process *process;
    const struct leakscan *scan;
    struct segfile_reading reading;
    struct loaded loaded;
    struct reportfile_record *record; /* one at a time */
    bool is_color;
};

static void leaks_fill_head(struct leaks_view *view)
{
    struct tagpool_report_record *head = &view->record->head;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    head->kind = TAGPOOL_REPORT_LEAK_RECORD;
    head->pid = (uint32_t)view->process->pid;
    head->time_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
    memcpy(head->program, view->process->file.header.program, sizeof(head->program));
    head->program[sizeof(head->program) - 1] = '\0';
}

static void leaks_fill_leak(struct leaks_view *view, const struct tp_leak_group *group)
{
    struct tagpool_report_leak *leak = &view->record->leak;
    *leak = (struct tagpool_report_leak){group->leak_class, 0, group->blocks, group->bytes, ""};
    if (group->slot < view->reading.count) {
        const struct tagpool_segment_slot *slot = &view->reading.slots[group->slot];
        leak->tag = slot->tag;
        memcpy(leak->name, slot->name, sizeof(leak->name));
        leak->name[sizeof(leak->name) - 1] = '\0';
    }
}

/* A report's record, as one that the program itself would have made. */
static void leaks_fill(struct leaks_view *view, const struct tp_leak_group *group)
{
    struct reportfile_record *record = view->record;
    uintptr_t frames[TAGPOOL_REPORT_FRAMES];
    memset(record, 0, sizeof(*record));
    leaks_fill_head(view);
    leaks_fill_leak(view, group);
    record->items = 1u << TAGPOOL_REPORT_LEAK;
    unsigned count = leakscan_frames(view->process, group->stack, frames, TAGPOOL_REPORT_FRAMES);
    if (count == 0)
        return;
    loaded_put_stack(&view->loaded, record, &record->stacks[TAGPOOL_REPORT_STACK_ALLOC], frames, count);
    record->items |= 1u << TAGPOOL_REPORT_STACK | 1u << TAGPOOL_REPORT_MODULE;
}

static void leaks_print_groups(struct leaks_view *view)
{
    const struct tp_leak_result *result = view->scan->result;
    for (uint32_t i = 0; i < result->group_count; i++) {
        if (result->groups[i].leak_class == TAGPOOL_REPORT_REACHABLE && !view->leaks->all)
            continue;
        leaks_fill(view, &result->groups[i]);
        if (view->leaks->as_json)
            stop_json_record(stdout, view->record);
        else
            stop_text_leak(stdout, view->record, view->is_color);
    }
}

/* ---- the sum ---- */

static void leaks_print_class(const struct tp_leak_result *result, enum tagpool_report_leak_class class,
                              const char *words)
{
    printf("%" PRIu64 " block%s, %" PRIu64 " bytes %s", result->blocks[class], result->blocks[class] == 1 ? "" : "s",
           result->bytes[class], words);
}

static void leaks_print_sum(const struct leaks_view *view)
{
    const struct leakscan *scan = view->scan;
    char program[80];
    label_clean(program, sizeof(program), view->process->file.header.program,
                sizeof(view->process->file.header.program));
    if (scan->result->groups_left_out > 0)
        printf("%" PRIu64 " smaller groups are left out.\n\n", scan->result->groups_left_out);
    printf("%s (%d): ", program, (int)view->process->pid);
    leaks_print_class(scan->result, TAGPOOL_REPORT_LOST, "definitely lost; ");
    leaks_print_class(scan->result, TAGPOOL_REPORT_POSSIBLY_LOST, "possibly lost; ");
    leaks_print_class(scan->result, TAGPOOL_REPORT_REACHABLE, "reachable; paused ");
    for (unsigned i = 0; i < scan->looks; i++)
        printf("%s%.1f ms", i > 0 ? " and " : "", scan->paused_ms[i]);
    putchar('\n');
}

static void leaks_print_json_sum(const struct leaks_view *view)
{
    static const char *const names[TP_LEAK_CLASSES] = {[TAGPOOL_REPORT_LOST] = "lost",
                                                       [TAGPOOL_REPORT_POSSIBLY_LOST] = "possibly_lost",
                                                       [TAGPOOL_REPORT_REACHABLE] = "reachable"};
    const struct leakscan *scan = view->scan;
    printf("{\"kind\":\"sum\",\"pid\":%d,\"paused_ms\":[", (int)view->process->pid);
    for (unsigned i = 0; i < scan->looks; i++)
        printf("%s%.3f", i > 0 ? "," : "", scan->paused_ms[i]);
    putchar(']');
    json_put_number(stdout, "groups_left_out", scan->result->groups_left_out);
    for (unsigned class = TAGPOOL_REPORT_LOST; class < TP_LEAK_CLASSES; class ++) {
        printf(",\"%s\":{\"blocks\":%" PRIu64, names[class], scan->result->blocks[class]);
        json_put_number(stdout, "bytes", scan->result->bytes[class]);
        putchar('}');
    }
    puts("}");
}

/* ---- the whole ---- */

static bool leaks_is_color(void)
{
    const char *terminal = getenv("TERM");
    return isatty(STDOUT_FILENO) && getenv("NO_COLOR") == NULL && terminal != NULL && strcmp(terminal, "dumb") != 0;
}

static int leaks_print(const struct leaks *leaks, const struct process *process, const struct leakscan *scan)
{
    struct leaks_view view = {.leaks = leaks, .process = process, .scan = scan, .is_color = leaks_is_color()};
    view.record = memory_alloc(1, sizeof(*view.record));
    segfile_read(&process->file, &view.reading);
    loaded_read(&view.loaded, process->pid);
    leaks_print_groups(&view);
    if (leaks->as_json)
        leaks_print_json_sum(&view);
    else
        leaks_print_sum(&view);
    loaded_free(&view.loaded);
    segfile_reading_free(&view.reading);
    free(view.record);
    return report_flush_output();
}

static int leaks_look(const struct leaks *leaks, const struct process *process)
{
    struct leakscan scan;
    int status = leakscan_run(&scan, process);
    if (status == 0)
        status = leaks_print(leaks, process, &scan);
    if (status == 0 && scan.result->blocks[TAGPOOL_REPORT_LOST] != 0)
        status = LEAKS_STATUS_LOST;
    leakscan_free(&scan);
    return status;
}

static int leaks_run(const struct leaks *leaks)
{
    struct process_list list;
    int status = STATUS_FAILED;
    process_find(&list, leaks->pid);
    if (list.count > 0)
        status = leaks_look(leaks, &list.items[0]);
    else
        process_explain(&list, leaks->pid);
    process_list_free(&list);
    return status;
}

int command_leaks(int argc, char **argv)
{
    struct leaks leaks = {.pid = 0};
    int next;
    int status = options_parse(&leaks_table, argc, argv, &leaks, &next);
    if (status == OPTIONS_HELP)
        return report_flush_output();
    if (status != 0)
        return status;
    if (next != argc)
        return report_usage("leaks takes no argument, but there is '%s': say 'tagpool leaks -p PID'.", argv[next]);
    if (leaks.pid == 0)
        return report_usage("no process was named: say 'tagpool leaks -p PID'.");
    return leaks_run(&leaks);
}
