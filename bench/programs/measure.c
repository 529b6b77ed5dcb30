/*
 * Run a program and say what it took: measure [-r] [-p LIBRARY] PROGRAM [ARGUMENTS].
 *
 *   -r           under real-time priority, as `chrt -r 50`: other load does not interrupt it
 *   -p LIBRARY   with LD_PRELOAD set, for the program alone
 *
 * Adds one line to the program's output: measured WALL USER SYSTEM PEAK_KIB STATUS (seconds; status as of a shell).
 * It is a program of its own because a process is charged the peak memory of the one that spawned it: this one is
 * small.
 */
#include "bench.h"

#include <errno.h>
#include <sched.h>
#include <spawn.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define REAL_TIME_PRIORITY 50

struct request {
    int real_time;
    const char *library;
    char **program;
};

static int request_parse(struct request *request, int argc, char **argv)
{
    for (int option; (option = getopt(argc, argv, "+rp:")) != -1;) {
        if (option == 'r')
            request->real_time = 1;
        else if (option == 'p')
            request->library = optarg;
        else
            return -1;
    }
    request->program = argv + optind;
    return optind < argc ? 0 : -1;
}

/* The environment with LD_PRELOAD, which must not reach this process itself. */
static char **request_environment(const struct request *request)
{
    if (request->library != NULL)
        setenv("LD_PRELOAD", request->library, 1);
    else
        unsetenv("LD_PRELOAD");
    return environ;
}

static int request_spawn(const struct request *request, pid_t *pid)
{
    posix_spawnattr_t attributes;
    struct sched_param priority = {.sched_priority = REAL_TIME_PRIORITY};
    posix_spawnattr_init(&attributes);
    if (request->real_time) {
        posix_spawnattr_setschedpolicy(&attributes, SCHED_RR);
        posix_spawnattr_setschedparam(&attributes, &priority);
        posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSCHEDULER);
    }
    int error =
        posix_spawnp(pid, request->program[0], NULL, &attributes, request->program, request_environment(request));
    posix_spawnattr_destroy(&attributes);
    return error;
}

static double seconds_of(struct timeval time)
{
    return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

int main(int argc, char **argv)
{
    struct request request = {0};
    struct rusage usage;
    pid_t pid;
    int status;
    if (request_parse(&request, argc, argv) != 0) {
        fprintf(stderr, "usage: measure [-r] [-p LIBRARY] PROGRAM [ARGUMENTS]\n");
        return 2;
    }
    double started = bench_now();
    int error = request_spawn(&request, &pid);
    if (error != 0 || wait4(pid, &status, 0, &usage) != pid) {
        fprintf(stderr, "measure: %s: %s\n", request.program[0], strerror(error != 0 ? error : errno));
        return 1;
    }
    double wall = bench_now() - started;
    int code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    printf("measured %.6f %.6f %.6f %ld %d\n", wall, seconds_of(usage.ru_utime), seconds_of(usage.ru_stime),
           usage.ru_maxrss, code);
    return 0;
}
