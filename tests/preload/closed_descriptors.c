/*
 * Started with descriptors 0, 1 and 2 closed: they stay closed, whatever we allocate.  Status 0 if so.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

extern int early_wrote;

static int open_ones(void)
{
    int count = 0;
    for (int fd = 0; fd < 64; fd++)
        count += fcntl(fd, F_GETFD) >= 0 || errno != EBADF;
    return count;
}

static int work(void)
{
    static void *volatile blocks[1000];
    for (int i = 0; i < 1000; i++)
        if ((blocks[i] = malloc((size_t)i * 100)) == NULL)
            return 1;
    return open_ones() == 0 ? 0 : 2;
}

int main(void)
{
    int status = -1;
    if (early_wrote != 0)
        return 3;
    if (work() != 0)
        return 4;
    pid_t pid = fork();
    if (pid == 0)
        _exit(work());
    return waitpid(pid, &status, 0) == pid && status == 0 ? 0 : 5;
}
