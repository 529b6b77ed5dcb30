/*
 * A library that is initialised before the preload module: it allocates, and then tries to write to descriptors that
 * its user closed.  What the allocator opened for itself must not be there.
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

__attribute__((visibility("default"))) int early_wrote;

static __attribute__((constructor)) void early_start(void)
{
    void *volatile block = malloc(1000);
    for (int fd = 0; fd < 3; fd++)
        early_wrote += write(fd, "garbage", 7) >= 0 || errno != EBADF;
    free(block);
}
