#include "scratch.h"
#include "memory.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

char *scratch_create(void)
{
    static const char *const parents[] = {"/dev/shm", "/tmp"};
    for (size_t i = 0; i < sizeof(parents) / sizeof(parents[0]); i++) {
        char *path = memory_format("%s/tagpool-systematic.%d.XXXXXX", parents[i], (int)getpid());
        if (mkdtemp(path) != NULL)
            return path;
        free(path);
    }
    return NULL;
}

void scratch_remove(char *directory)
{
    DIR *open_directory = opendir(directory);
    const struct dirent *entry;
    while (open_directory != NULL && (entry = readdir(open_directory)) != NULL)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            unlinkat(dirfd(open_directory), entry->d_name, 0);
    if (open_directory != NULL)
        closedir(open_directory);
    rmdir(directory);
    free(directory);
}
