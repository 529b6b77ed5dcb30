/* The kernel is told of more room than there is. */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

static char *read_header(int fd)
{
    char *header = malloc(64);
    if (read(fd, header, 512) < 0)
        header[0] = '\0';
    return header;
}

int main(void)
{
    int fd = open("/dev/zero", O_RDONLY);
    free(read_header(fd));
    close(fd);
    return 0;
}
