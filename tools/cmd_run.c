#include "command.h"
#include "elf_check.h"
#include "launch.h"
#include "report.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct option_row run_rows[] = {LAUNCH_OPTIONS};

static const struct option_table run_table = {
    .command = "tagpool run",
    .synopsis = "[OPTIONS] [--] PROGRAM [ARGUMENTS]",
    .summary = "Run PROGRAM with every block of its memory tagged and counted; see it by 'tagpool top'.",
    .rows = run_rows,
    .count = sizeof(run_rows) / sizeof(run_rows[0]),
};

static void run_set_variable(const char *name, const char *value, void *context)
{
    int *failed = context;
    int error = value != NULL ? setenv(name, value, 1) : unsetenv(name);
    *failed |= error != 0;
}

/* Only returns when it failed. */
static int run_program(const char *path, char **argv)
{
    execv(path, argv);
    report("cannot run %s: %s.", path, strerror(errno));
    return errno == ENOENT ? STATUS_NOT_FOUND : STATUS_CANNOT_RUN;
}

/* The status of a failure; with success there is no return. */
static int run_launch(const struct launch *launch, char **argv)
{
    static char path[PATH_MAX], why[ELF_CHECK_TEXT];
    int failed = 0;
    int status = elf_check_find(argv[0], path, why);
    if (status == 0)
        status = elf_check_program(path, why);
    if (status != 0) {
        report("%s", why);
        return status;
    }
    status = launch_each_variable(launch, run_set_variable, &failed);
    if (status != 0)
        return status;
    if (failed) {
        report("cannot set the environment: %s.", strerror(errno));
        return STATUS_NO_MODULE;
    }
    return run_program(path, argv);
}

int command_run(int argc, char **argv)
{
    struct launch launch = {NULL, NULL, 0};
    int next;
    int status = options_parse(&run_table, argc, argv, &launch, &next);
    if (status == 0 && next == argc)
        status = report_usage("no program was named: say 'tagpool run PROGRAM'.");
    else if (status == 0)
        status = run_launch(&launch, argv + next);
    else if (status == OPTIONS_HELP)
        status = report_flush_output();
    launch_free(&launch);
    return status;
}
