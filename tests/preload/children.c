/*
 * Many children at once that each work a little, as a server's do.
 *
 * Usage: children COUNT
 */
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static int work(int calls)
{
    for (int i = 0; i < calls; i++) {
        char *volatile block = malloc((size_t)i * 50 + 1);
        if (block == NULL)
            return 1;
        memset(block, 1, (size_t)i * 50 + 1);
    }
    return 0;
}

int main(int argc, char **argv)
{
    int ends[2], failed = 0, count = argc == 2 ? atoi(argv[1]) : 10;
    char byte;
    if (work(200) != 0 || pipe(ends) != 0)
        return 2;
    for (int i = 0; i < count; i++) {
        pid_t pid = fork();
        if (pid < 0)
            return 3;
        if (pid == 0) {
            int result = work(i % 2 == 0 ? 10 : 200); /* some work on, some hardly */
            close(ends[1]);
            /* Stay until all are there. */
            _exit(read(ends[0], &byte, 1) == 0 ? result : 4);
        }
    }
    close(ends[1]);
    for (int i = 0; i < count; i++) {
        int status = -1;
        failed |= wait(&status) < 0 || status != 0;
    }
    return failed;
}
