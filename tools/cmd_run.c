#include "command.h"
#include "elf_check.h"
#include "launch.h"
#include "report.h"
#include "systematic.h"
#include "verified_run.h"
#include "words.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct run {
    struct launch launch; /* first: its options take the whole for it */
    struct systematic systematic;
};

/* How things are told: by who runs the program. */
#define RUN_VERIFY(name)                                                                                               \
    static int run_set_##name(void *context, const char *value)                                                        \
    {                                                                                                                  \
        return verify_set_##name(&((struct run *)context)->launch.verify, value);                                      \
    }
RUN_VERIFY(json)
RUN_VERIFY(error_exitcode)
#undef RUN_VERIFY

#define RUN_SYSTEMATIC(name)                                                                                           \
    static int run_set_##name(void *context, const char *value)                                                        \
    {                                                                                                                  \
        return systematic_set_##name(&((struct run *)context)->systematic, value);                                     \
    }
RUN_SYSTEMATIC(systematic)
RUN_SYSTEMATIC(state)
RUN_SYSTEMATIC(replay)
RUN_SYSTEMATIC(jobs)
RUN_SYSTEMATIC(timeout)
RUN_SYSTEMATIC(max_runs)
RUN_SYSTEMATIC(verbose)
#undef RUN_SYSTEMATIC

static const struct option_row run_rows[] = {
    {0, "tags", "LIST", LAUNCH_TAGS_HELP, launch_set_tags},
    LAUNCH_THROUGH_OPTION,
    LAUNCH_VERIFY_OPTIONS,
    {0, "json", NULL, "reports as JSON, one object a line", run_set_json},
    {0, "error-exitcode", "N", "status for stops (3) and leaks (4)", run_set_error_exitcode},
    {0, "systematic", NULL, "run it again and again, and have each call stack that asks for memory fail once",
     run_set_systematic},
    {0, "state", "FILE", "systematic: keep there what is done, and go on from it", run_set_state},
    {0, "replay", "N", "systematic: have that stack fail once more, alone", run_set_replay},
    {'j', "jobs", "N", "systematic: so many runs at a time (all processors)", run_set_jobs},
    {0, "timeout", "SECONDS", "systematic: longer runs hang (10 times the usual, at least 10 s)", run_set_timeout},
    {0, "max-runs", "N", "systematic: end after so many runs", run_set_max_runs},
    {'v', "verbose", NULL, "systematic: let the program's output through", run_set_verbose},
};

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
static int run_launch(struct run *run, char **argv)
{
    static char path[PATH_MAX], why[ELF_CHECK_TEXT];
    struct verify *verify = &run->launch.verify;
    int failed = 0;
    int status = elf_check_find(argv[0], path, why);
    if (status == 0)
        status = elf_check_program(path, why);
    if (status != 0) {
        report("%s", why);
        return status;
    }
    status = launch_each_variable(&run->launch, run_set_variable, &failed);
    if (status != 0)
        return status;
    if (failed) {
        report("cannot set the environment: %s.", strerror(errno));
        return STATUS_NO_MODULE;
    }
    run->systematic.given = run->launch.given;
    if (run->systematic.is_on)
        return systematic_run(&run->systematic, verify, path, argv);
    return verify->is_on ? verified_run(verify, path, argv) : run_program(path, argv);
}

/* What a user wrote there by hand, and the program would pass over in silence. */
static void run_check_words(const struct verify *verify)
{
    char wrong[WORDS_WRONG];
    struct words words = {.leaks = false};
    const char *text = getenv("TAGPOOL_VERIFY");
    bool is_by_hand = text != NULL && getenv("TAGPOOL_REPORT") == NULL;
    if (is_by_hand && !verify->is_on && !verify->is_systematic && !words_read(&words, text, wrong))
        report("in TAGPOOL_VERIFY, '%s' is not understood, and passed over.", wrong);
}

int command_run(int argc, char **argv)
{
    struct run run = {.launch = LAUNCH_INIT};
    struct verify *verify = &run.launch.verify;
    int next;
    int status = options_parse(&run_table, argc, argv, &run, &next);
    if (status == 0 && next < argc && !run.systematic.is_on)
        verify_use_kept(verify, argv[next]);
    if (status == 0)
        status = systematic_finish(&run.systematic, verify);
    if (status == 0)
        status = verify_finish(verify);
    if (status == 0 && next == argc)
        status = report_usage("no program was named: say 'tagpool run PROGRAM'.");
    else if (status == 0) {
        run_check_words(verify);
        status = run_launch(&run, argv + next);
    } else if (status == OPTIONS_HELP)
        status = report_flush_output();
    launch_free(&run.launch);
    return status;
}
