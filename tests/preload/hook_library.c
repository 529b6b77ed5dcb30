/*
 * Another preloaded library that replaces mmap, open, getenv, clock_gettime and the like, and looks the real ones up
 * by dlsym, with an allocation of its own: what tracers do.  An allocator that calls them while it starts would hang.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <time.h>

#define EXPORT __attribute__((visibility("default")))

static void *hook_find(const char *name)
{
    void *note = calloc(1, 100);
    void *found = dlsym(RTLD_NEXT, name);
    free(note);
    return found;
}

EXPORT void *mmap(void *addr, size_t size, int protection, int flags, int fd, off_t offset)
{
    void *(*next)(void *, size_t, int, int, int, off_t) = hook_find("mmap");
    return next(addr, size, protection, flags, fd, offset);
}

EXPORT int munmap(void *addr, size_t size)
{
    int (*next)(void *, size_t) = hook_find("munmap");
    return next(addr, size);
}

EXPORT int mprotect(void *addr, size_t size, int protection)
{
    int (*next)(void *, size_t, int) = hook_find("mprotect");
    return next(addr, size, protection);
}

EXPORT int madvise(void *addr, size_t size, int advice)
{
    int (*next)(void *, size_t, int) = hook_find("madvise");
    return next(addr, size, advice);
}

EXPORT int open(const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    int mode = va_arg(arguments, int);
    va_end(arguments);
    int (*next)(const char *, int, ...) = hook_find("open");
    return next(path, flags, mode);
}

EXPORT char *getenv(const char *name)
{
    char *(*next)(const char *) = hook_find("getenv");
    return next(name);
}

EXPORT int clock_gettime(clockid_t clock, struct timespec *now)
{
    int (*next)(clockid_t, struct timespec *) = hook_find("clock_gettime");
    return next(clock, now);
}
