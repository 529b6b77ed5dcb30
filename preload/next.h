/*
 * The C library's own functions behind those of this module, by a table: looked up when the module is loaded, or at the
 * first call, for other libraries' constructors may come first.
 */
#ifndef PRELOAD_NEXT_H
#define PRELOAD_NEXT_H

#include <dlfcn.h>
#include <stddef.h>

struct next_function {
    const char *name;
    void *function;
};

static __attribute__((noinline)) void *next_look_up(struct next_function *next)
{
    void *function = dlsym(RTLD_NEXT, next->name);
    __atomic_store_n(&next->function, function, __ATOMIC_RELAXED);
    return function;
}

/* From a constructor, before a signal handler has to: dlsym takes the loader's locks, and may allocate. */
static inline void next_look_up_all(struct next_function *table, size_t count)
{
    for (size_t i = 0; i < count; i++)
        next_look_up(&table[i]);
}

static inline __attribute__((always_inline)) void *next_find(struct next_function *next)
{
    void *function = __atomic_load_n(&next->function, __ATOMIC_RELAXED);
    return __builtin_expect(function != NULL, 1) ? function : next_look_up(next);
}

#endif
