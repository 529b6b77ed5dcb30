#include "procfs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

ssize_t procfs_read_file(const char *path, char *buffer, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return -errno;
    size_t length = 0;
    ssize_t got = 1;
    while (length < size - 1 && got > 0) {
        got = read(fd, buffer + length, size - 1 - length);
        length += got > 0 ? (size_t)got : 0;
    }
    int error = errno;
    close(fd);
    if (got < 0)
        return -error;
    buffer[length] = '\0';
    return (ssize_t)length;
}

static ssize_t procfs_read(pid_t pid, const char *name, char *buffer, size_t size)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
    return procfs_read_file(path, buffer, size);
}

uint64_t procfs_start_ns(pid_t pid)
{
    char text[1024];
    if (procfs_read(pid, "stat", text, sizeof(text)) < 0)
        return UINT64_MAX;
    /* Field 2 is the name in brackets, which may itself hold blanks and brackets; field 22 is the start. */
    const char *at = strrchr(text, ')');
    for (int field = 2; at != NULL && field < 22; field++)
        at = strchr(at + 1, ' ');
    if (at == NULL)
        return UINT64_MAX;
    return strtoull(at, NULL, 10) * (UINT64_C(1000000000) / (uint64_t)sysconf(_SC_CLK_TCK));
}

/* The rest of the line that begins with `key`; NULL when there is none. */
static const char *procfs_find_line(const char *text, const char *key)
{
    size_t length = strlen(key);
    while (text != NULL && strncmp(text, key, length) != 0) {
        text = strchr(text, '\n');
        text = text != NULL ? text + 1 : NULL;
    }
    return text != NULL ? text + length : NULL;
}

int procfs_status(pid_t pid, struct procfs_status *status)
{
    char text[4096];
    ssize_t length = procfs_read(pid, "status", text, sizeof(text));
    if (length < 0)
        return (int)length;
    const char *uid = procfs_find_line(text, "Uid:");
    const char *pids = procfs_find_line(text, "NSpid:");
    status->uid = uid != NULL ? (uid_t)strtoul(uid, NULL, 10) : (uid_t)-1;
    status->inner_pid = pid;
    /* "NSpid: outer ... inner"; kernels without PID namespaces have no such line. */
    for (char *end; pids != NULL; pids = end) {
        long number = strtol(pids, &end, 10);
        if (end == pids || *pids == '\n')
            break;
        status->inner_pid = (pid_t)number;
        if (*end == '\n')
            break;
    }
    return 0;
}

uint64_t procfs_rss_bytes(pid_t pid)
{
    char text[256];
    unsigned long long size, resident;
    if (procfs_read(pid, "statm", text, sizeof(text)) < 0 || sscanf(text, "%llu %llu", &size, &resident) != 2)
        return 0;
    return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

uint64_t procfs_namespace(pid_t pid, const char *kind)
{
    char path[64];
    struct stat st;
    snprintf(path, sizeof(path), "/proc/%d/ns/%s", (int)pid, kind);
    return stat(path, &st) == 0 ? st.st_ino : 0;
}

/* A line is "START-END RIGHTS OFFSET MAJOR:MINOR INODE  PATH", all but the inode in hexadecimal. */
static int procfs_line_is_of(const char *line, dev_t device, ino_t inode)
{
    char *end;
    const char *rights = strchr(line, ' ');
    if (rights == NULL || strncmp(rights, " rw", 3) != 0)
        return 0;
    for (int field = 0; field < 3 && line != NULL; field++) {
        line = strchr(line, ' ');
        line = line != NULL ? line + 1 : NULL;
    }
    if (line == NULL || strtoul(line, &end, 16) != major(device) || *end != ':')
        return 0;
    return strtoul(end + 1, &end, 16) == minor(device) && strtoull(end, NULL, 10) == inode;
}

/* Is there a line in a process's map that `matches` says is it? */
static int procfs_search_maps(pid_t pid, int (*matches)(const char *line, const void *what), const void *what)
{
    char path[64], *line = NULL;
    size_t size = 0;
    int found = 0;
    snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
    FILE *maps = fopen(path, "re");
    if (maps == NULL)
        return -errno;
    while (!found && getline(&line, &size, maps) > 0)
        found = matches(line, what);
    free(line);
    fclose(maps);
    return found;
}

struct procfs_file {
    dev_t device;
    ino_t inode;
};

static int procfs_matches_file(const char *line, const void *what)
{
    const struct procfs_file *file = what;
    return procfs_line_is_of(line, file->device, file->inode);
}

int procfs_maps_file(pid_t pid, dev_t device, ino_t inode)
{
    const struct procfs_file file = {device, inode};
    return procfs_search_maps(pid, procfs_matches_file, &file);
}

static int procfs_matches_library(const char *line, const void *what)
{
    const char *slash = strrchr(line, '/');
    return slash != NULL && strncmp(slash + 1, what, strlen(what)) == 0;
}

int procfs_maps_library(pid_t pid, const char *name)
{
    return procfs_search_maps(pid, procfs_matches_library, name);
}

void procfs_each(void (*found)(pid_t pid, void *context), void *context)
{
    DIR *proc = opendir("/proc");
    if (proc == NULL)
        return;
    for (struct dirent *entry; (entry = readdir(proc)) != NULL;) {
        char *end;
        long pid = strtol(entry->d_name, &end, 10);
        if (*end == '\0' && pid > 0)
            found((pid_t)pid, context);
    }
    closedir(proc);
}
