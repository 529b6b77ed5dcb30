#include "verified_run.h"
#include "findings.h"
#include "memory.h"
#include "remains.h"
#include "report.h"
#include "supervise.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

struct verified {
    const struct verify *verify;
    const char *path;
    char **argv;
    struct findings findings;
    struct reportfile file;
    int program_status; /* of the first run that did not succeed, else 0 */
    int child_pid;      /* of the last run; 0: it was not executed */
    uint64_t begin_ns;  /* of the last run (remains.h) */
};

/* ---- one run ---- */

static void verified_look(void *context)
{
    struct verified *run = context;
    reportfile_read(&run->file, false, findings_take, &run->findings);
}

static int verified_set_environment(const struct verified *run, const char *reports, const char *ends)
{
    char *words = verify_text(run->verify, ends);
    int failed = setenv("TAGPOOL_REPORT", reports, 1) | setenv("TAGPOOL_VERIFY", words, 1);
    free(words);
    return failed != 0 ? -errno : 0;
}

/* The status that a shell would show. */
static int verified_shell_status(int wait_status)
{
    return WIFSIGNALED(wait_status) ? 128 + WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
}

/* Run the program with its file of reports at `reports`: 0 with waitpid's status, or a status after a sentence. */
static int verified_run_child(struct verified *run, const char *reports, const char *ends, int *wait_status)
{
    run->child_pid = 0;
    run->begin_ns = remains_now_ns();
    struct supervise supervise = {
        .path = run->path, .argv = run->argv, .watched = reports, .look = verified_look, .context = run};
    int error = verified_set_environment(run, reports, ends);
    if (error != 0) {
        report("cannot set the environment: %s.", strerror(-error));
        return STATUS_NO_MODULE;
    }
    error = supervise_run(&supervise, wait_status);
    run->child_pid = supervise.pid;
    if (error == 0)
        return 0;
    report("cannot run %s: %s.", run->path, strerror(-error));
    return error == -ENOENT ? STATUS_NOT_FOUND : STATUS_CANNOT_RUN;
}

/* Ended by a signal that it could tell nothing of: how many requests had been made to fail is in what it left. */
static void verified_tell_remains(struct verified *run, int signal)
{
    struct remains remains;
    if (remains_read(&remains, run->child_pid, run->begin_ns) && remains.counters.faults_injected != 0)
        findings_take_remains(&run->findings, (uint32_t)run->child_pid, signal, &remains);
}

static int verified_run_once(struct verified *run, const char *ends, int *wait_status)
{
    char *reports;
    int error = reportfile_create(&run->file, &reports);
    if (error != 0) {
        report("cannot make a file for reports in /dev/shm: %s.", strerror(-error));
        return STATUS_NO_MODULE;
    }
    int status = verified_run_child(run, reports, ends, wait_status);
    reportfile_read(&run->file, true, findings_take, &run->findings);
    if (status == 0 && WIFSIGNALED(*wait_status))
        verified_tell_remains(run, WTERMSIG(*wait_status));
    unlink(reports);
    free(reports);
    reportfile_fini(&run->file);
    findings_end_run(&run->findings);
    if (status == 0 && run->program_status == 0)
        run->program_status = verified_shell_status(*wait_status);
    return status;
}

/* ---- two runs ---- */

/* Can a second run read what the first one read?  *offset: where from; -1 where there is no such thing. */
static bool verified_can_reread(off_t *offset)
{
    struct stat st;
    *offset = -1;
    if (fstat(STDIN_FILENO, &st) != 0)
        return true;
    if (S_ISREG(st.st_mode))
        *offset = lseek(STDIN_FILENO, 0, SEEK_CUR);
    return *offset >= 0 || isatty(STDIN_FILENO) || (S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3));
}

/* Ended from outside: whoever did that wants no second run. */
static bool verified_was_told_to_end(int wait_status)
{
    static const int signals[] = {SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGKILL};
    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
        if (WIFSIGNALED(wait_status) && WTERMSIG(wait_status) == signals[i])
            return true;
    return false;
}

static int verified_run_both(struct verified *run)
{
    int wait_status;
    off_t offset;
    bool can_reread = verified_can_reread(&offset);
    int status = verified_run_once(run, "ends=over", &wait_status);
    if (status != 0 || verified_was_told_to_end(wait_status))
        return status;
    if (!can_reread) {
        report("standard input cannot be read twice, so only --ends=over was done: redirect it from a file.");
        return 0;
    }
    if (offset >= 0)
        lseek(STDIN_FILENO, offset, SEEK_SET);
    return verified_run_once(run, "ends=under", &wait_status);
}

/* ---- the sum ---- */

static bool verified_is_color(void)
{
    const char *terminal = getenv("TERM");
    return isatty(STDERR_FILENO) && getenv("NO_COLOR") == NULL && terminal != NULL && strcmp(terminal, "dumb") != 0;
}

/* No finding is good news where something was looked at: else it may be that a tag was misspelt. */
static void verified_tell_of_nothing(const struct verified *run)
{
    const struct findings *findings = &run->findings;
    char *const *words = run->verify->words;
    bool is_narrowed = words[VERIFY_TAGS] != NULL || words[VERIFY_SIZES] != NULL;
    if (findings->end_count == 0 || findings->stops != 0)
        return;
    if (is_narrowed && findings->requests == 0)
        report("no block was looked at: none was of these tags and sizes ('tagpool top' lists tags).");
    else if (words[VERIFY_FAIL] != NULL && findings->requests_failed == 0)
        report("no allocation was made to fail: none fitted --fail, or there were too few.");
}

static int verified_sum_up(const struct verified *run)
{
    const struct findings *findings = &run->findings;
    verified_tell_of_nothing(run);
    fprintf(stderr, "tagpool: stops=%llu leaks=%llu program-status=%d\n", (unsigned long long)findings->stops,
            (unsigned long long)findings->lost_blocks, run->program_status);
    if (findings->stops == 0 && findings->lost_blocks == 0)
        return run->program_status;
    if (run->verify->error_exitcode >= 0)
        return run->verify->error_exitcode;
    return findings->stops != 0 ? STATUS_STOPS : STATUS_LEAKS;
}

int verified_run(const struct verify *verify, const char *path, char **argv)
{
    int wait_status;
    struct verified run = {
        .verify = verify,
        .path = path,
        .argv = argv,
        .findings = {.as_json = verify->as_json, .all_leaks = verify->all_leaks, .is_color = verified_is_color()},
    };
    supervise_hold();
    int status = verify->both_ends ? verified_run_both(&run) : verified_run_once(&run, NULL, &wait_status);
    if (status == 0)
        status = verified_sum_up(&run);
    findings_free(&run.findings);
    return status;
}
