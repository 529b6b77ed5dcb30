/* A path is put together in a block that is too short for it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *join(const char *directory, const char *name)
{
    char *path = malloc(strlen(directory) + strlen(name));
    strcpy(path, directory);
    strcat(path, name);
    return path;
}

int main(void)
{
    char *path = join("/var/lib/", "tagpool");
    puts(path);
    free(path);
    return 0;
}
