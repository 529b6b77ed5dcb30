#include "remains.h"
#include "process.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

uint64_t remains_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

static bool remains_is_of(const struct segfile *file, pid_t pid, uint64_t since_ns)
{
    return file->header.pid == (uint32_t)pid && file->header.created_ns >= since_ns &&
           file->header.state == TAGPOOL_SEGMENT_RUNNING;
}

static bool remains_fill(struct remains *remains, const struct segfile *file)
{
    struct tagpool_segment_verifier sums;
    if (segfile_read_verifier(file, &sums) != 0)
        return false;
    memcpy(remains->program, file->header.program, sizeof(remains->program));
    remains->program[sizeof(remains->program) - 1] = '\0';
    remains->counters = (struct tagpool_report_counters){
        .allocs_attempted = sums.succeeded_total + sums.failed_total + sums.failed_deliberately_total,
        .allocs_succeeded = sums.succeeded_total,
        .allocs_special = sums.special_total,
        .allocs_watched = sums.watched_total,
        .special_refused = sums.special_refused_total,
        .allocs_failed = sums.failed_total,
        .faults_injected = sums.failed_deliberately_total,
    };
    return true;
}

static bool remains_read_from(struct remains *remains, int directory, pid_t pid, uint64_t since_ns)
{
    struct segfile file;
    char name[64];
    snprintf(name, sizeof(name), TAGPOOL_SEGMENT_PREFIX "%u.%d", (unsigned)geteuid(), (int)pid);
    if (segfile_open(&file, directory, name) != 0)
        return false;
    bool is_read = remains_is_of(&file, pid, since_ns) && remains_fill(remains, &file);
    segfile_close(&file);
    return is_read;
}

bool remains_read(struct remains *remains, pid_t pid, uint64_t since_ns)
{
    int directory = open(process_directory(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool is_read = directory >= 0 && remains_read_from(remains, directory, pid, since_ns);
    if (directory >= 0)
        close(directory);
    return is_read;
}
