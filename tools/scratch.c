#include "scratch.h"
#include "memory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define SCRATCH_NAME "tagpool-systematic."

/* Somebody who removes what is left behind may take ours for that, until it is locked. */
enum { SCRATCH_TRIES = 10 };

static const char *const scratch_parents[] = {"/dev/shm", "/tmp"};

/* The descriptor of a directory of this user's that is locked now, or -1. */
static int scratch_lock(const char *path)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return -1;
    if (fstat(fd, &st) == 0 && st.st_uid == geteuid() && flock(fd, LOCK_EX | LOCK_NB) == 0 && access(path, F_OK) == 0)
        return fd;
    close(fd);
    return -1;
}

static void scratch_empty(int directory)
{
    int copy = dup(directory);
    DIR *files = copy >= 0 ? fdopendir(copy) : NULL;
    const struct dirent *entry;
    while (files != NULL && (entry = readdir(files)) != NULL)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            unlinkat(directory, entry->d_name, 0);
    if (files != NULL)
        closedir(files);
}

static void scratch_remove_stale(const char *parent)
{
    DIR *names = opendir(parent);
    const struct dirent *entry;
    while (names != NULL && (entry = readdir(names)) != NULL) {
        if (strncmp(entry->d_name, SCRATCH_NAME, strlen(SCRATCH_NAME)) != 0)
            continue;
        struct scratch stale = {.path = memory_format("%s/%s", parent, entry->d_name)};
        stale.lock = scratch_lock(stale.path);
        if (stale.lock >= 0)
            scratch_remove(&stale);
        else
            free(stale.path);
    }
    if (names != NULL)
        closedir(names);
}

static bool scratch_create_in(struct scratch *scratch, const char *parent)
{
    for (int i = 0; i < SCRATCH_TRIES; i++) {
        scratch->path = memory_format("%s/" SCRATCH_NAME "%d.XXXXXX", parent, (int)getpid());
        bool is_made = mkdtemp(scratch->path) != NULL;
        int error = errno;
        scratch->lock = is_made ? scratch_lock(scratch->path) : -1;
        if (scratch->lock >= 0)
            return true;
        free(scratch->path);
        errno = is_made ? EAGAIN : error;
        if (!is_made)
            return false;
    }
    return false;
}

int scratch_create(struct scratch *scratch)
{
    for (size_t i = 0; i < sizeof(scratch_parents) / sizeof(scratch_parents[0]); i++) {
        scratch_remove_stale(scratch_parents[i]);
        if (scratch_create_in(scratch, scratch_parents[i]))
            return 0;
    }
    return -errno;
}

void scratch_remove(struct scratch *scratch)
{
    scratch_empty(scratch->lock);
    rmdir(scratch->path);
    close(scratch->lock);
    free(scratch->path);
}
