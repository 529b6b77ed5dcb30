#include "systematic.h"
#include "ledger_text.h"
#include "memory.h"
#include "report.h"
#include "session.h"
#include "verified_run.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* ---- options ---- */

int systematic_set_systematic(struct systematic *systematic, const char *value)
{
    (void)value;
    systematic->is_on = true;
    return 0;
}

int systematic_set_state(struct systematic *systematic, const char *value)
{
    systematic->option = "--state";
    systematic->state = value;
    return value[0] != '\0' ? 0 : report_usage("--state needs the name of a file.");
}

/* A whole number from 1 on. */
static bool systematic_read_number(const char *value, unsigned long most, unsigned long *number)
{
    char *end;
    errno = 0;
    *number = strtoul(value, &end, 10);
    return value[0] >= '0' && value[0] <= '9' && *end == '\0' && errno == 0 && *number > 0 && *number <= most;
}

int systematic_set_replay(struct systematic *systematic, const char *value)
{
    unsigned long number;
    systematic->option = "--replay";
    if (!systematic_read_number(value, UINT32_MAX, &number))
        return report_usage("--replay=%s is no number of a stack: take one from the summary.", value);
    systematic->replay = (uint32_t)number;
    return 0;
}

int systematic_set_jobs(struct systematic *systematic, const char *value)
{
    unsigned long number;
    systematic->option = "--jobs";
    if (!systematic_read_number(value, 10000, &number))
        return report_usage("--jobs=%s is no number of programs that can run at a time.", value);
    systematic->jobs = (unsigned)number;
    return 0;
}

int systematic_set_timeout(struct systematic *systematic, const char *value)
{
    unsigned long number;
    systematic->option = "--timeout";
    if (!systematic_read_number(value, 1000000, &number))
        return report_usage("--timeout=%s is no number of seconds.", value);
    systematic->timeout_s = (unsigned)number;
    return 0;
}

int systematic_set_max_runs(struct systematic *systematic, const char *value)
{
    systematic->option = "--max-runs";
    if (!systematic_read_number(value, 1000000000, &systematic->max_runs))
        return report_usage("--max-runs=%s is no number of runs.", value);
    return 0;
}

int systematic_set_verbose(struct systematic *systematic, const char *value)
{
    (void)value;
    systematic->option = "--verbose";
    systematic->is_verbose = true;
    return 0;
}

int systematic_finish(struct systematic *systematic, struct verify *verify)
{
    verify->is_systematic = systematic->is_on;
    if (!systematic->is_on && systematic->option != NULL)
        return report_usage("%s is about systematic faults: say --systematic as well.", systematic->option);
    if (!systematic->is_on)
        return 0;
    if (verify->words[VERIFY_FAIL] != NULL)
        return report_usage("--fail and --systematic do not go together: one fault at a time is understood.");
    if (verify->both_ends)
        return report_usage("--ends=both and --systematic do not go together: say --ends=mixed.");
    if (verify->as_json && systematic->replay == 0)
        return report_usage("--json and --systematic do not go together, but with --replay.");
    return 0;
}

/* ---- one stack again ---- */

/* The ledger's path, from the options or by default, where each way to look has its own; NULL after a sentence. */
static char *systematic_make_path(const struct systematic *systematic, const char *path, char **argv)
{
    if (systematic->state != NULL)
        return memory_copy_text(systematic->state);
    char *state = ledger_default_path(path, argv, systematic->given);
    if (state == NULL)
        report("there is no home directory to keep the state in: name a file by --state.");
    return state;
}

static int systematic_replay_entry(const struct ledger_entry *entry, struct verify *verify, const char *path,
                                   char **argv)
{
    struct claims claims;
    struct scratch scratch;
    int error = claims_create_in_scratch(&claims, &scratch);
    if (error != 0) {
        report("cannot make files in /dev/shm: %s.", strerror(-error));
        return STATUS_NO_MODULE;
    }
    verify->words[VERIFY_SYSTEMATIC] =
        memory_format("systematic=%s:0 systematic-only=%016" PRIx64, claims.path, entry->hash);
    int status = verified_run(verify, path, argv);
    if (claims.map->runs[0].hash == 0)
        report("stack #%u was not reached: nothing failed.", entry->number);
    claims_fini(&claims);
    scratch_remove(&scratch);
    return status;
}

static int systematic_replay(const struct systematic *systematic, struct verify *verify, char *state, const char *path,
                             char **argv)
{
    struct ledger ledger;
    int status = ledger_open(&ledger, state, path, argv, false);
    const struct ledger_entry *entry = status == 0 ? ledger_find(&ledger, systematic->replay) : NULL;
    if (status == 0 && entry == NULL) {
        report("there is no stack #%u in %s.", systematic->replay, ledger.path);
        status = STATUS_FAILED;
    }
    if (entry != NULL) {
        ledger_text_entry(stderr, entry);
        fputc('\n', stderr);
        status = systematic_replay_entry(entry, verify, path, argv);
    }
    ledger_free(&ledger);
    return status;
}

/* ---- all of them ---- */

static int systematic_status(const struct ledger *ledger, const struct verify *verify)
{
    int status = STATUS_OK;
    for (size_t i = 0; i < ledger->count; i++) {
        enum verdict verdict = ledger->entries[i].verdict;
        if (verdict_is_bad(verdict) && status != STATUS_STOPS)
            status = verdict == VERDICT_LEAKED ? STATUS_LEAKS : STATUS_STOPS;
    }
    return status != STATUS_OK && verify->error_exitcode >= 0 ? verify->error_exitcode : status;
}

/* Why it did not come to its end, if it did not. */
static void systematic_explain(const struct session *session)
{
    if (session->error != 0)
        report("could not go on: %s.", strerror(-session->error));
    else if (session->ended_by != 0)
        report("ended by SIG%s: the same command goes on from here.", sigabbrev_np(session->ended_by));
    else if (session->is_full)
        report("no more stacks can be told apart: those of this program differ from run to run.");
    else if (!session->is_done)
        report("ended after %lu runs: the same command goes on from here.", session->started);
    else if (session->ledger->count == 0)
        report("the program asked for no memory.");
    if (session->unsteady != 0)
        report("%lu run%s without a fault ended otherwise than the first: the program does not do the same each time,"
               " so not every verdict is the fault's.",
               session->unsteady, session->unsteady == 1 ? "" : "s");
    if (!session->reference.is_steady)
        report("what the program writes differs from run to run, so it was not compared.");
}

static void systematic_sum_up(const struct systematic *systematic, const struct session *session, char **argv)
{
    const char *given = systematic->given != NULL ? systematic->given : "";
    char *options = systematic->state != NULL ? memory_format("%s --state=%s", given, systematic->state)
                                              : memory_copy_text(given);
    ledger_text_summary(stderr, session->ledger, options, argv);
    free(options);
    systematic_explain(session);
    fprintf(stderr, "State: %s\n", session->ledger->path);
}

static int systematic_run_session(const struct systematic *systematic, const struct verify *verify,
                                  struct ledger *ledger, const char *path, char **argv)
{
    struct session session;
    char *words = verify_text(verify, NULL);
    int status = session_open(&session, systematic, words, ledger, path, argv);
    if (status == 0) {
        status = session_find_reference(&session);
        if (status == 0) {
            session_run(&session);
            systematic_sum_up(systematic, &session, argv);
            status = session.error != 0      ? STATUS_FAILED
                     : session.ended_by != 0 ? 128 + session.ended_by
                                             : systematic_status(ledger, verify);
        }
        session_close(&session);
    }
    free(words);
    return status;
}

static int systematic_run_all(const struct systematic *systematic, const struct verify *verify, char *state,
                              const char *path, char **argv)
{
    struct ledger ledger;
    int status = ledger_open(&ledger, state, path, argv, true);
    if (ledger.is_anew)
        report("%s has changed since: it is examined anew.", path);
    if (status == 0)
        status = systematic_run_session(systematic, verify, &ledger, path, argv);
    ledger_free(&ledger);
    return status;
}

int systematic_run(const struct systematic *systematic, struct verify *verify, const char *path, char **argv)
{
    char whole[PATH_MAX]; /* the same program, from wherever it is named */
    if (realpath(path, whole) != NULL)
        path = whole;
    char *state = systematic_make_path(systematic, path, argv);
    if (state == NULL)
        return STATUS_FAILED;
    return systematic->replay != 0 ? systematic_replay(systematic, verify, state, path, argv)
                                   : systematic_run_all(systematic, verify, state, path, argv);
}
