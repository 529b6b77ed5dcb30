#include "trial.h"
#include "memory.h"
#include "procfs.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* How long a child that outlives the program is waited for, to see how it ends. */
#define TRIAL_GRACE_NS UINT64_C(2000000000)

#define TRIAL_CRASH_FRAMES 16

/* What a pipe holds, in what is read at a time. */
#define TRIAL_PIECES 16

/* FNV-1a. */
#define TRIAL_SUM_FIRST UINT64_C(0xcbf29ce484222325)
#define TRIAL_SUM_FACTOR UINT64_C(0x100000001b3)

uint64_t trial_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

/* ---- the child ---- */

struct trial_pipes {
    int out[2], err[2], tell[2];
};

static void trial_close_pipe(const int ends[2])
{
    for (int i = 0; i < 2; i++)
        if (ends[i] >= 0)
            close(ends[i]);
}

static void trial_close_pipes(const struct trial_pipes *pipes)
{
    trial_close_pipe(pipes->out);
    trial_close_pipe(pipes->err);
    trial_close_pipe(pipes->tell);
}

static int trial_open_pipes(struct trial_pipes *pipes, bool is_heard)
{
    *pipes = (struct trial_pipes){{-1, -1}, {-1, -1}, {-1, -1}};
    if (pipe2(pipes->tell, O_CLOEXEC) == 0 &&
        (is_heard || (pipe2(pipes->out, O_CLOEXEC) == 0 && pipe2(pipes->err, O_CLOEXEC) == 0)))
        return 0;
    int error = -errno;
    trial_close_pipes(pipes);
    return error;
}

/* Each trial reads for itself: a copy of our descriptor would share its position. */
static int trial_open_input(const struct trial_program *program)
{
    int fd = open(program->input_offset >= 0 ? "/proc/self/fd/0" : "/dev/null", O_RDONLY);
    if (fd >= 0 && program->input_offset > 0)
        lseek(fd, program->input_offset, SEEK_SET);
    if (fd > STDIN_FILENO) {
        dup2(fd, STDIN_FILENO);
        close(fd);
    }
    return fd;
}

static bool trial_set_environment(const struct trial_program *program, const char *words, const char *reports)
{
    return setenv("TAGPOOL_VERIFY", words, 1) == 0 && setenv("TAGPOOL_REPORT", reports, 1) == 0 &&
           setenv("TAGPOOL_SEGMENT_DIR", program->directory, 1) == 0;
}

static void trial_become(const struct trial_program *program, const struct trial_pipes *pipes, const char *words,
                         const char *reports)
{
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (trial_open_input(program) >= 0 && trial_set_environment(program, words, reports) &&
        (program->is_heard || (dup2(pipes->out[1], STDOUT_FILENO) >= 0 && dup2(pipes->err[1], STDERR_FILENO) >= 0))) {
        sigprocmask(SIG_SETMASK, &program->mask, NULL);
        execv(program->path, program->argv);
    }
    int error = errno;
    ssize_t written = write(pipes->tell[1], &error, sizeof(error));
    _exit(written == (ssize_t)sizeof(error) ? 0 : 1);
}

/* The parent's side: 0 once the program is executed. */
static int trial_await_program(struct trial *trial, struct trial_pipes *pipes)
{
    int error = 0;
    close(pipes->tell[1]);
    pipes->tell[1] = -1;
    if (read(pipes->tell[0], &error, sizeof(error)) == (ssize_t)sizeof(error))
        waitpid(trial->pid, NULL, 0);
    trial->out = (struct trial_output){pipes->out[0], TRIAL_SUM_FIRST};
    trial->err = (struct trial_output){pipes->err[0], TRIAL_SUM_FIRST};
    pipes->out[0] = pipes->err[0] = -1;
    return -error;
}

static int trial_start_program(struct trial *trial, const struct trial_program *program, const char *words)
{
    struct trial_pipes pipes;
    int error = trial_open_pipes(&pipes, program->is_heard);
    if (error != 0)
        return error;
    trial->begin_ns = trial_now_ns();
    trial->pid = fork();
    if (trial->pid == 0)
        trial_become(program, &pipes, words, trial->report_path);
    error = trial->pid > 0 ? trial_await_program(trial, &pipes) : -errno;
    trial_close_pipes(&pipes);
    return error;
}

static void trial_close_output(struct trial_output *output)
{
    if (output->fd >= 0)
        close(output->fd);
    output->fd = -1;
}

static void trial_close(struct trial *trial)
{
    trial_close_output(&trial->out);
    trial_close_output(&trial->err);
    reportfile_fini(&trial->reports);
    unlink(trial->report_path);
    free(trial->report_path);
    trial->pid = 0;
}

int trial_start(struct trial *trial, const struct trial_program *program, const char *words, unsigned long number,
                const struct tagpool_claims_run *run)
{
    *trial = (struct trial){.run = run, .out = {.fd = -1}, .err = {.fd = -1}};
    trial->report_path = memory_format("%s/reports.%lu", program->directory, number);
    int fd = open(trial->report_path, O_RDONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) {
        free(trial->report_path);
        return -errno;
    }
    reportfile_init(&trial->reports, fd);
    int error = trial_start_program(trial, program, words);
    if (error != 0)
        trial_close(trial);
    return error;
}

/* ---- while it runs ---- */

static void trial_keep(struct trial *trial, const char *text, size_t size)
{
    if (size > TRIAL_TAIL) {
        text += size - TRIAL_TAIL;
        size = TRIAL_TAIL;
    }
    if (trial->tail_size + size > sizeof(trial->tail)) {
        size_t lost = trial->tail_size - TRIAL_TAIL;
        memmove(trial->tail, trial->tail + lost, TRIAL_TAIL);
        trial->tail_size = TRIAL_TAIL;
    }
    memcpy(trial->tail + trial->tail_size, text, size);
    trial->tail_size += size;
}

/* One piece at a time, so that who writes without end keeps us from nothing else. */
static void trial_listen_to(struct trial *trial, struct trial_output *output)
{
    char text[16384];
    struct pollfd poll_fd = {.fd = output->fd, .events = POLLIN};
    if (output->fd < 0 || poll(&poll_fd, 1, 0) <= 0)
        return;
    ssize_t size = read(output->fd, text, sizeof(text));
    if (size <= 0) {
        trial_close_output(output);
        return;
    }
    for (ssize_t i = 0; i < size; i++)
        output->sum = (output->sum ^ (unsigned char)text[i]) * TRIAL_SUM_FACTOR;
    trial_keep(trial, text, (size_t)size);
}

void trial_listen(struct trial *trial)
{
    trial_listen_to(trial, &trial->out);
    trial_listen_to(trial, &trial->err);
}

static bool trial_is_running(pid_t pid)
{
    char path[64], text[512];
    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    if (procfs_read_file(path, text, sizeof(text)) <= 0)
        return false;
    const char *state = strrchr(text, ')');
    return state != NULL && strlen(state) > 2 && state[2] != 'Z' && state[2] != 'X';
}

/* The process whose request failed, where it is not the program itself and has not ended by itself; else 0. */
static pid_t trial_open_child(const struct trial *trial)
{
    const struct tagpool_claims_run *run = trial->run;
    pid_t pid = (pid_t)__atomic_load_n(&run->pid, __ATOMIC_ACQUIRE);
    bool is_over = __atomic_load_n(&run->is_over, __ATOMIC_ACQUIRE) != 0;
    return pid != 0 && pid != trial->pid && !is_over ? pid : 0;
}

bool trial_has_ended(struct trial *trial, uint64_t limit_ns)
{
    uint64_t now = trial_now_ns();
    if (trial->end_ns == 0) {
        if (limit_ns != 0 && now - trial->begin_ns > limit_ns) {
            trial->is_late = true;
            kill(-trial->pid, SIGKILL);
            kill(trial->pid, SIGKILL); /* had it become a session of its own */
        }
        if (waitpid(trial->pid, &trial->wait_status, WNOHANG) != trial->pid)
            return false;
        trial->end_ns = now;
    }
    pid_t child = trial_open_child(trial);
    return trial->is_late || child == 0 || !trial_is_running(child) || now - trial->end_ns > TRIAL_GRACE_NS;
}

/* ---- the end ---- */

static void trial_take_fault(struct trial *trial, const struct reportfile_record *record)
{
    trial->fault = record->fault;
    chain_take(&trial->fault_chain, record, TAGPOOL_REPORT_FRAMES);
    memcpy(trial->fault_program, record->head.program, sizeof(trial->fault_program));
}

static void trial_take(const struct reportfile_record *record, void *context)
{
    struct trial *trial = context;
    if (reportfile_has(record, TAGPOOL_REPORT_FAULT))
        trial_take_fault(trial, record);
    if (reportfile_has(record, TAGPOOL_REPORT_CRASH) && trial->crash.signal == 0) {
        trial->crash = record->crash;
        chain_take(&trial->crash_chain, record, TRIAL_CRASH_FRAMES);
    }
    if (reportfile_has(record, TAGPOOL_REPORT_STOP) && trial->stops++ == 0) {
        trial->stop_code = record->stop.code;
        chain_take(&trial->crash_chain, record, TRIAL_CRASH_FRAMES);
    }
    if (reportfile_has(record, TAGPOOL_REPORT_LEAK) && record->leak.leak_class == TAGPOOL_REPORT_LOST)
        trial->lost_blocks += record->leak.blocks;
}

void trial_finish(struct trial *trial)
{
    pid_t child = trial_open_child(trial);
    trial->has_lost_child = child != 0 && !trial_is_running(child);
    kill(-trial->pid, SIGKILL);
    if (trial->end_ns == 0) {
        waitpid(trial->pid, &trial->wait_status, 0);
        trial->end_ns = trial_now_ns();
    }
    /* No more than was written by now: somebody who left the group may write on. */
    for (int i = 0; i < TRIAL_PIECES; i++)
        trial_listen(trial);
    reportfile_read(&trial->reports, true, trial_take, trial);
    trial_close(trial);
}

void trial_free(struct trial *trial)
{
    chain_free(&trial->fault_chain);
    chain_free(&trial->crash_chain);
}
