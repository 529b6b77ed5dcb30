/*
 * Calls of the C library that the module must see: the ends of the process that run no destructors, the start of a
 * thread, and the unloading of a library.
 */
#include "preload.h"

#include "fork.h"
#include "start.h"
#include "walk.h"

#include <dlfcn.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

TP_NOINLINE void *preload_look_up(struct preload_next *next)
{
    void *function = dlsym(RTLD_NEXT, next->name);
    tp_poke(&next->function, function);
    return function;
}

void preload_look_up_all(struct preload_next *next, size_t count)
{
    for (size_t i = 0; i < count; i++)
        preload_look_up(&next[i]);
}

static __attribute__((constructor)) void process_start(void)
{
    tp_start_may_publish();
}

EXPORT __attribute__((noreturn)) void _exit(int status)
{
    tp_start_end();
    for (;;)
        syscall(SYS_exit_group, status);
}

EXPORT __attribute__((noreturn, alias("_exit"))) void _Exit(int status);

EXPORT int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*routine)(void *), void *argument)
{
    static struct preload_next next = {"pthread_create", NULL};
    int (*create)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *) =
        (int (*)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *))(uintptr_t)preload_find(&next);
    tp_fork_before_thread();
    return create(thread, attributes, routine, argument);
}

EXPORT int dlclose(void *handle)
{
    static struct preload_next next = {"dlclose", NULL};
    int (*close_library)(void *) = (int (*)(void *))(uintptr_t)preload_find(&next);
    int result = close_library(handle);
    tp_site_forget_all();
    tp_walk_forget_rules();
    return result;
}
