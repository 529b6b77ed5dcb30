#include "host.h"
#include "procfs.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* The number behind a key that begins a line; 0 when there is none. */
static uint64_t host_number(const char *text, const char *key)
{
    size_t length = strlen(key);
    for (const char *line = text; line != NULL; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, key, length) == 0)
            return strtoull(line + length, NULL, 10);
    }
    return 0;
}

static void host_read_memory(struct host *host, const char *text)
{
    host->total_kib = host_number(text, "MemTotal:");
    host->available_kib = host_number(text, "MemAvailable:");
    host->commit_kib = host_number(text, "Committed_AS:");
    host->commit_limit_kib = host_number(text, "CommitLimit:");
    host->kernel_kib =
        host_number(text, "SUnreclaim:") + host_number(text, "KernelStack:") + host_number(text, "PageTables:");
    if (host->commit_kib > host->commit_peak_kib)
        host->commit_peak_kib = host->commit_kib;
}

void host_read(struct host *host)
{
    static char text[32768]; /* vmstat is some 5 KiB */
    if (procfs_read_file("/proc/meminfo", text, sizeof(text)) > 0)
        host_read_memory(host, text);
    if (procfs_read_file("/proc/vmstat", text, sizeof(text)) > 0) {
        uint64_t faults = host_number(text, "pgfault ");
        host->faults = faults - host->faults_total;
        host->faults_total = faults;
    }
}
