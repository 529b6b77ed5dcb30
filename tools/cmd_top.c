#include "command.h"
#include "report.h"
#include "top.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { TOP_DELAY_MS = 1000 };

/* ---- options ---- */

static int top_set_pid(void *context, const char *value)
{
    char *end;
    errno = 0;
    long pid = strtol(value, &end, 10);
    if (errno != 0 || *end != '\0' || end == value || pid <= 0 || pid > INT32_MAX)
        return report_usage("'%s' is no process ID: give a number, as ps shows it.", value);
    ((struct top_options *)context)->pid = (pid_t)pid;
    return 0;
}

static int top_set_once(void *context, const char *value)
{
    (void)value;
    ((struct top_options *)context)->once = true;
    return 0;
}

static int top_set_json(void *context, const char *value)
{
    ((struct top_options *)context)->format = TOP_JSON;
    return top_set_once(context, value);
}

static int top_set_csv(void *context, const char *value)
{
    ((struct top_options *)context)->format = TOP_CSV;
    return top_set_once(context, value);
}

static int top_set_classic(void *context, const char *value)
{
    (void)value;
    ((struct top_options *)context)->view.layout = LAYOUT_CLASSIC;
    return 0;
}

static int top_set_totals(void *context, const char *value)
{
    (void)value;
    ((struct top_options *)context)->view.totals = true;
    return 0;
}

static int top_set_delay(void *context, const char *value)
{
    char *end;
    double seconds = strtod(value, &end);
    if (*end != '\0' || end == value || !(seconds >= 0.05 && seconds <= 86400))
        return report_usage("'%s' is no number of seconds from 0.05 to 86400.", value);
    ((struct top_options *)context)->delay_ms = (unsigned)(seconds * 1000 + 0.5);
    return 0;
}

static int top_set_count(void *context, const char *value)
{
    char *end;
    errno = 0;
    long count = strtol(value, &end, 10);
    if (errno != 0 || *end != '\0' || end == value || count <= 0)
        return report_usage("'%s' is no number of snapshots: give 1 or more.", value);
    ((struct top_options *)context)->count = (unsigned long)count;
    return 0;
}

static int top_set_sort(void *context, const char *value)
{
    const struct selection_order *order = value[0] != '\0' && value[1] == '\0' ? selection_find_order(value[0]) : NULL;
    if (order == NULL)
        return report_usage("--sort=%s is not known: give one of the letters t a f d b m.", value);
    ((struct top_options *)context)->view.selection.sort = order->sort;
    return 0;
}

static const struct option_row top_rows[] = {
    {'p', "pid", "PID", "this process alone", top_set_pid},
    {0, "once", NULL, "print one snapshot and exit", top_set_once},
    {0, "json", NULL, "the same as JSON", top_set_json},
    {0, "csv", NULL, "the same as comma-separated values", top_set_csv},
    {0, "classic", NULL, "the layout of PoolMon", top_set_classic},
    {0, "sort", "LETTER", "by t tag, a allocs, f frees, d live blocks, b live bytes, m bytes per block",
     top_set_sort},
    {'e', "totals", NULL, "a line of totals below each process", top_set_totals},
    {'d', "delay", "SECONDS", "between two snapshots (default 1)", top_set_delay},
    {'n', "count", "COUNT", "stop after so many snapshots", top_set_count},
};

const struct option_table top_table = {
    .command = "tagpool top",
    .synopsis = "[OPTIONS]",
    .summary = "Show which tag holds how much memory, in every process of yours that runs under tagpool: live on a\n"
               "terminal (press h for the keys), else as text again and again.",
    .rows = top_rows,
    .count = sizeof(top_rows) / sizeof(top_rows[0]),
};

/* ---- text ---- */

static void top_print_table(const struct top_options *options, const struct snapshot *snapshot, struct host *host)
{
    struct view_page page = {NULL, 0};
    host_read(host);
    view_table(&page, snapshot, host, &options->view);
    view_page_print(&page, stdout);
    view_page_free(&page);
}

/* Where the output is for programs, warnings go beside it. */
static void top_report_notes(const struct snapshot *snapshot)
{
    char buffer[128];
    const char *note;
    for (size_t i = 0; i < snapshot->count; i++)
        for (size_t n = 0; (note = snapshot_note(&snapshot->items[i], n, buffer, sizeof(buffer))) != NULL; n++)
            report("%s (%d): %s.", snapshot->items[i].program, (int)snapshot->items[i].pid, note);
}

static int top_write_file(const struct top_options *options, const struct snapshot *snapshot)
{
    struct host host = {0};
    FILE *out = fopen(options->path, "we");
    if (out == NULL) {
        report("cannot write %s: %s.", options->path, strerror(errno));
        return STATUS_FAILED;
    }
    host_read(&host);
    view_file(out, snapshot, &host, &options->view);
    int failed = ferror(out);
    failed |= fclose(out) != 0;
    if (failed)
        report("cannot write all of %s: %s.", options->path, strerror(errno));
    return failed ? STATUS_FAILED : STATUS_OK;
}

static int top_print_once(const struct top_options *options, const struct snapshot *snapshot)
{
    struct host host = {0};
    switch (options->format) {
    case TOP_JSON:
        view_json(stdout, snapshot, &options->view);
        break;
    case TOP_CSV:
        view_csv(stdout, snapshot, &options->view);
        break;
    case TOP_FILE:
        return top_write_file(options, snapshot);
    case TOP_TABLE:
        top_print_table(options, snapshot, &host);
        return report_flush_output();
    }
    top_report_notes(snapshot);
    return report_flush_output();
}

static void top_wait(unsigned delay_ms)
{
    struct timespec delay = {.tv_sec = delay_ms / 1000, .tv_nsec = (long)(delay_ms % 1000) * 1000000};
    fflush(stdout);
    while (nanosleep(&delay, &delay) != 0 && errno == EINTR)
        ;
}

/* Print again and again until the reader is gone, the count is reached, or the one process has ended. */
static int top_print_forever(const struct top_options *options, struct snapshot *snapshot)
{
    struct host host = {0};
    bool was_empty = false;
    for (unsigned long n = 1;; n++) {
        if (snapshot->count == 0 && options->pid != 0) {
            report("process %d has ended.", (int)options->pid);
            return STATUS_OK;
        }
        if (snapshot->count == 0 && !was_empty)
            snapshot_explain_empty(0);
        was_empty = snapshot->count == 0;
        if (n > 1 && !was_empty)
            putchar('\n');
        top_print_table(options, snapshot, &host);
        if (report_flush_output() != STATUS_OK)
            return STATUS_FAILED;
        if (n == options->count)
            return STATUS_OK;
        top_wait(options->delay_ms);
        struct snapshot next;
        if (snapshot_take(&next, snapshot, options->pid) != 0) {
            snapshot_explain_empty(0);
            return STATUS_FAILED;
        }
        snapshot_free(snapshot);
        *snapshot = next;
    }
}

/* ---- both ---- */

int top_show(const struct top_options *options)
{
    struct snapshot snapshot;
    int error = snapshot_take(&snapshot, NULL, options->pid);
    bool for_programs = options->format == TOP_JSON || options->format == TOP_CSV;
    bool may_be_empty = options->pid == 0 && (for_programs || !options->once);
    if (error != 0 || (snapshot.count == 0 && !may_be_empty)) {
        snapshot_explain_empty(options->pid);
        snapshot_free(&snapshot);
        return STATUS_FAILED;
    }
    int status;
    if (options->once)
        status = top_print_once(options, &snapshot);
    else if (isatty(STDIN_FILENO) && isatty(STDOUT_FILENO))
        status = screen_run(options, &snapshot);
    else
        status = top_print_forever(options, &snapshot);
    snapshot_free(&snapshot);
    return status;
}

int command_top(int argc, char **argv)
{
    struct top_options options = {.delay_ms = TOP_DELAY_MS};
    int next;
    int status = options_parse(&top_table, argc, argv, &options, &next);
    if (status == OPTIONS_HELP)
        return report_flush_output();
    if (status != 0)
        return status;
    if (next != argc)
        return report_usage("top takes no argument, but there is '%s': for one process say 'tagpool top -p PID'.",
                            argv[next]);
    return top_show(&options);
}
