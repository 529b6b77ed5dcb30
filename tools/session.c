#include "session.h"
#include "label.h"
#include "ledger_text.h"
#include "memory.h"
#include "report.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define SESSION_LIMIT_NS UINT64_C(10000000000) /* a trial's time, at least */
#define SESSION_LIMIT_TIMES 10                 /* and so often the program's own */
#define SESSION_LOOK_MS 50                     /* how often clocks are looked at */
#define SESSION_PROGRESS_NS UINT64_C(200000000)
#define SESSION_JOBS_MOST (TAGPOOL_CLAIMS_RUNS / 2)
#define SESSION_UNSTEADY_MOST 5 /* trials that end otherwise without a fault, before it is given up */
#define SESSION_TAIL_LINES 3

static const int session_signals[] = {SIGCHLD, SIGINT, SIGTERM, SIGHUP, SIGQUIT};

/* ---- what trials share ---- */

static unsigned session_jobs(const struct systematic *options)
{
    cpu_set_t set;
    unsigned jobs = options->jobs;
    if (jobs == 0)
        jobs = sched_getaffinity(0, sizeof(set), &set) == 0 ? (unsigned)CPU_COUNT(&set) : 1;
    return jobs < SESSION_JOBS_MOST ? jobs : SESSION_JOBS_MOST;
}

/* Ended children are to be seen, whatever we were started with. */
static int session_hold_signals(sigset_t *before)
{
    sigset_t set;
    struct sigaction action = {.sa_handler = SIG_DFL};
    sigemptyset(&set);
    for (size_t i = 0; i < sizeof(session_signals) / sizeof(session_signals[0]); i++)
        sigaddset(&set, session_signals[i]);
    sigaction(SIGCHLD, &action, NULL);
    sigprocmask(SIG_BLOCK, &set, before);
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static off_t session_input_offset(void)
{
    struct stat st;
    if (fstat(STDIN_FILENO, &st) != 0)
        return -1;
    if (S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode))
        report("standard input can be read once, so the program reads nothing: redirect it from a file.");
    return S_ISREG(st.st_mode) ? lseek(STDIN_FILENO, 0, SEEK_CUR) : -1;
}

int session_open(struct session *session, const struct systematic *options, const char *words, struct ledger *ledger,
                 const char *path, char **argv)
{
    *session = (struct session){.options = options, .words = words, .ledger = ledger};
    int error = claims_create_in_scratch(&session->claims, &session->scratch);
    if (error != 0) {
        report("cannot make files in /dev/shm: %s.", strerror(-error));
        return STATUS_NO_MODULE;
    }
    for (size_t i = 0; i < ledger->count; i++)
        claims_enter(&session->claims, ledger->entries[i].hash);
    session->program = (struct trial_program){.path = path,
                                              .argv = argv,
                                              .directory = session->scratch.path,
                                              .input_offset = session_input_offset(),
                                              .is_heard = options->is_verbose};
    session->signals = session_hold_signals(&session->program.mask);
    session->has_progress = isatty(STDERR_FILENO) && !options->is_verbose;
    session->trial_count = session_jobs(options);
    session->trials = memory_alloc(session->trial_count, sizeof(*session->trials));
    return 0;
}

void session_close(struct session *session)
{
    for (unsigned i = 0; i < session->trial_count; i++)
        if (session->trials[i].pid != 0) {
            kill(-session->trials[i].pid, SIGKILL);
            trial_finish(&session->trials[i]);
            trial_free(&session->trials[i]);
        }
    free(session->trials);
    claims_fini(&session->claims);
    scratch_remove(&session->scratch);
    if (session->signals >= 0)
        close(session->signals);
    sigprocmask(SIG_SETMASK, &session->program.mask, NULL);
}

/* ---- trials ---- */

static bool session_has_run(const struct session *session, const struct tagpool_claims_run *run)
{
    for (unsigned i = 0; i < session->trial_count; i++)
        if (session->trials[i].pid != 0 && session->trials[i].run == run)
            return true;
    return false;
}

/* Places take turns: what has escaped from an earlier trial would claim the one that it has. */
static unsigned session_take_run(struct session *session)
{
    unsigned run;
    do
        run = session->next_run++ % TAGPOOL_CLAIMS_RUNS;
    while (session_has_run(session, &session->claims.map->runs[run]));
    return run;
}

/* `more`: words of this trial alone. */
static void session_start(struct session *session, struct trial *trial, const char *more)
{
    unsigned run = session_take_run(session);
    char *words = memory_format("%s%ssystematic=%s:%u%s", session->words, session->words[0] != '\0' ? " " : "",
                                session->claims.path, run, more);
    session->error =
        trial_start(trial, &session->program, words, session->number++, claims_begin_run(&session->claims, run));
    free(words);
}

static void session_take_signals(struct session *session)
{
    struct signalfd_siginfo info;
    while (read(session->signals, &info, sizeof(info)) == (ssize_t)sizeof(info))
        if (info.ssi_signo != SIGCHLD)
            session->ended_by = (int)info.ssi_signo;
}

/* Until there is something to do, or a clock to look at. */
static void session_wait(struct session *session)
{
    struct pollfd *fds = memory_alloc(1 + 2 * (size_t)session->trial_count, sizeof(*fds));
    nfds_t count = 0;
    fds[count++] = (struct pollfd){.fd = session->signals, .events = POLLIN};
    for (unsigned i = 0; i < session->trial_count; i++) {
        const struct trial *trial = &session->trials[i];
        if (trial->pid == 0)
            continue;
        fds[count++] = (struct pollfd){.fd = trial->out.fd, .events = POLLIN};
        fds[count++] = (struct pollfd){.fd = trial->err.fd, .events = POLLIN};
    }
    poll(fds, count, SESSION_LOOK_MS);
    free(fds);
    session_take_signals(session);
    for (unsigned i = 0; i < session->trial_count; i++)
        if (session->trials[i].pid != 0)
            trial_listen(&session->trials[i]);
}

/* ---- the reference ---- */

static int session_status(int wait_status)
{
    return WIFSIGNALED(wait_status) ? 128 + WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
}

/* One trial in which nothing fails: 0, or a status after a sentence. */
static int session_run_clean(struct session *session, struct trial *trial)
{
    const char *path = session->program.path;
    session_start(session, trial, " systematic-only=0");
    if (session->error != 0) {
        report("cannot run %s: %s.", path, strerror(-session->error));
        return session->error == -ENOENT ? STATUS_NOT_FOUND : STATUS_CANNOT_RUN;
    }
    while (!trial_has_ended(trial, session->limit_ns) && session->ended_by == 0)
        session_wait(session);
    trial_finish(trial);
    trial_free(trial);
    if (session->ended_by != 0)
        return 128 + session->ended_by;
    if (!trial->is_late && trial->stops == 0 && !WIFSIGNALED(trial->wait_status))
        return 0;
    report(trial->is_late ? "%s does not end by itself: give it an input that it comes to an end with, or more time"
                            " by --timeout."
                          : "%s is stopped or crashes by itself, without any fault: look at that first, by 'tagpool"
                            " run --verify'.",
           path);
    return STATUS_FAILED;
}

int session_find_reference(struct session *session)
{
    struct trial *trial = &session->trials[0];
    struct session_reference *reference = &session->reference;
    session->limit_ns = session->options->timeout_s * UINT64_C(1000000000);
    int status = session_run_clean(session, trial);
    *reference = (struct session_reference){.status = session_status(trial->wait_status),
                                            .output_sum = trial->out.sum,
                                            .lost_blocks = trial->lost_blocks,
                                            .took_ns = trial->end_ns - trial->begin_ns};
    if (status == 0)
        status = session_run_clean(session, trial);
    if (status != 0)
        return status;
    reference->is_steady = trial->out.sum == reference->output_sum;
    if (trial->lost_blocks > reference->lost_blocks)
        reference->lost_blocks = trial->lost_blocks;
    if (session->limit_ns == 0)
        session->limit_ns = SESSION_LIMIT_TIMES * reference->took_ns;
    if (session->options->timeout_s == 0 && session->limit_ns < SESSION_LIMIT_NS)
        session->limit_ns = SESSION_LIMIT_NS;
    return 0;
}

/* ---- verdicts ---- */

static enum verdict session_judge_signal(int number, unsigned long *detail)
{
    *detail = (unsigned long)number;
    return number == SIGABRT ? VERDICT_ABORTED : VERDICT_CRASHED;
}

/* What ended as it should: what is still wrong with it. */
static enum verdict session_judge_end(const struct session *session, const struct trial *trial, unsigned long *detail)
{
    const struct session_reference *reference = &session->reference;
    *detail = trial->lost_blocks - reference->lost_blocks;
    if (trial->lost_blocks > reference->lost_blocks)
        return VERDICT_LEAKED;
    *detail = (unsigned long)session_status(trial->wait_status);
    if (session_status(trial->wait_status) != reference->status)
        return VERDICT_FAILED;
    *detail = 0;
    bool is_altered = reference->is_steady && !session->program.is_heard && trial->out.sum != reference->output_sum;
    return is_altered ? VERDICT_ALTERED : VERDICT_THROUGH;
}

/* The worst of all that is known. */
static enum verdict session_judge(const struct session *session, const struct trial *trial, unsigned long *detail)
{
    *detail = trial->stop_code;
    if (trial->stops > 0)
        return VERDICT_STOPPED;
    *detail = 0;
    if (trial->is_late)
        return VERDICT_HUNG;
    if (trial->crash.signal != 0)
        return session_judge_signal((int)trial->crash.signal, detail);
    if (WIFSIGNALED(trial->wait_status))
        return session_judge_signal(WTERMSIG(trial->wait_status), detail);
    if (trial->has_lost_child)
        return VERDICT_VANISHED;
    return session_judge_end(session, trial, detail);
}

/* ---- what is shown meanwhile ---- */

static void session_show_progress(struct session *session)
{
    uint64_t now = trial_now_ns();
    if (!session->has_progress || now - session->progress_at_ns < SESSION_PROGRESS_NS)
        return;
    session->progress_at_ns = now;
    fprintf(stderr, "\r%lu runs", session->started);
    for (int verdict = 0; verdict < VERDICTS; verdict++)
        if (session->verdicts[verdict] != 0)
            fprintf(stderr, ", %lu %s", session->verdicts[verdict], verdict_word((enum verdict)verdict));
    fputs("\033[K", stderr);
}

static void session_hide_progress(const struct session *session)
{
    if (session->has_progress)
        fputs("\r\033[K", stderr);
}

/* The last lines that the program wrote. */
static void session_show_tail(const struct trial *trial)
{
    size_t end = trial->tail_size, begin;
    while (end > 0 && trial->tail[end - 1] == '\n')
        end--;
    begin = end;
    for (int lines = 0; begin > 0 && lines < SESSION_TAIL_LINES; begin--)
        if (trial->tail[begin - 1] == '\n' && ++lines == SESSION_TAIL_LINES)
            break;
    while (begin < end) {
        char line[160];
        const char *newline = memchr(trial->tail + begin, '\n', end - begin);
        size_t length = newline != NULL ? (size_t)(newline - trial->tail) - begin : end - begin;
        label_clean(line, sizeof(line), trial->tail + begin, length);
        fprintf(stderr, "    | %s\n", line);
        begin += length + 1;
    }
}

/* Programs that give up by abort do so from everywhere: that is told in the summary. */
static void session_tell(const struct session *session, const struct trial *trial, const struct ledger_entry *entry)
{
    if (!verdict_is_bad(entry->verdict) || entry->verdict == VERDICT_ABORTED)
        return;
    session_hide_progress(session);
    ledger_text_line(stderr, entry);
    if (!session->program.is_heard)
        session_show_tail(trial);
}

/* ---- the trials ---- */

static void session_note_clean(struct session *session, enum verdict verdict)
{
    if (verdict != VERDICT_THROUGH)
        session->unsteady++;
    session->is_done |= verdict == VERDICT_THROUGH || session->unsteady >= SESSION_UNSTEADY_MOST;
}

/* The record of the fault may be missing: the stack is known by its claim then. */
static void session_note_fault(struct session *session, struct trial *trial, uint64_t hash, enum verdict verdict,
                               unsigned long detail)
{
    trial->fault_program[sizeof(trial->fault_program) - 1] = '\0';
    struct ledger_entry entry = {.hash = hash,
                                 .verdict = verdict,
                                 .detail = detail,
                                 .size = trial->fault.size,
                                 .tag = trial->fault.tag,
                                 .program = memory_copy_text(trial->fault_program),
                                 .chain = trial->fault_chain,
                                 .crash = trial->crash_chain};
    trial->fault_chain = trial->crash_chain = (struct chain){NULL, 0};
    int error = ledger_add(session->ledger, entry);
    if (session->error == 0)
        session->error = error;
    session->verdicts[verdict]++;
    session_tell(session, trial, &session->ledger->entries[session->ledger->count - 1]);
}

static void session_end_trial(struct session *session, struct trial *trial)
{
    unsigned long detail;
    uint64_t hash = __atomic_load_n(&trial->run->hash, __ATOMIC_ACQUIRE);
    trial_finish(trial);
    enum verdict verdict = session_judge(session, trial, &detail);
    if (hash == 0) {
        session_note_clean(session, verdict);
    } else {
        claims_enter(&session->claims, hash);
        session_note_fault(session, trial, hash, verdict, detail);
    }
    trial_free(trial);
}

static bool session_may_start(const struct session *session)
{
    unsigned long most = session->options->max_runs;
    return !session->is_done && !session->is_full && session->ended_by == 0 && session->error == 0 &&
           (most == 0 || session->started < most);
}

static void session_start_some(struct session *session)
{
    session->is_full = claims_are_full(&session->claims);
    for (unsigned i = 0; i < session->trial_count && session_may_start(session); i++)
        if (session->trials[i].pid == 0) {
            session_start(session, &session->trials[i], "");
            session->started += session->error == 0;
        }
}

/* How many are still running; told to end, none is waited for. */
static unsigned session_end_some(struct session *session)
{
    unsigned running = 0;
    for (unsigned i = 0; i < session->trial_count && session->ended_by == 0; i++) {
        struct trial *trial = &session->trials[i];
        if (trial->pid == 0)
            continue;
        if (trial_has_ended(trial, session->limit_ns))
            session_end_trial(session, trial);
        else
            running++;
    }
    return running;
}

void session_run(struct session *session)
{
    do {
        session_start_some(session);
        session_wait(session);
        session_show_progress(session);
    } while (session_end_some(session) > 0 || session_may_start(session));
    session_hide_progress(session);
}
