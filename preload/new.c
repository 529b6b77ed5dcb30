/*
 * operator new and delete of C++17, in C under their mangled names, so that the module needs no C++ library.
 *
 * Each form is the function that the program calls, so that a block counts for the code that says `new`.
 */
#include "preload.h"

#include <dlfcn.h>
#include <stdlib.h>

typedef void (*new_handler)(void);

/* Of the C++ library, which is there where these operators are called; looked up when memory is exhausted. */
static void *new_library_symbol(const char *name)
{
    return dlsym(RTLD_DEFAULT, name);
}

static new_handler new_current_handler(void)
{
    new_handler (*get)(void) = (new_handler(*)(void))(uintptr_t)new_library_symbol("_ZSt15get_new_handlerv");
    return get != NULL ? get() : NULL;
}

static void new_throw(void)
{
    void (*throw_bad_alloc)(void) = (void (*)(void))(uintptr_t)new_library_symbol("_ZSt17__throw_bad_allocv");
    if (throw_bad_alloc != NULL)
        throw_bad_alloc();
    abort();
}

/* [new.delete.single]: call the handler and try again, while there is one. */
static TP_NOINLINE void *new_slow(size_t size, size_t alignment, bool throws, struct tp_call call)
{
    for (;;) {
        void *block = preload_alloc_slow(size, alignment, call);
        if (block != NULL)
            return block;
        new_handler handler = new_current_handler();
        if (handler == NULL && throws)
            new_throw();
        if (handler == NULL)
            return NULL;
        handler();
    }
}

#define NEW(name, throws, ...)                                                                                         \
    EXPORT void *name(size_t size, ##__VA_ARGS__);                                                                     \
    EXPORT void *name(size_t size, ##__VA_ARGS__)                                                                      \
    {                                                                                                                  \
        void *block = PRELOAD_FAST(size);                                                                              \
        return TP_LIKELY(block != NULL) ? block : new_slow(size, PRELOAD_ALIGNMENT, throws, TP_CALL_HERE());           \
    }

#define NEW_ALIGNED(name, throws, ...)                                                                                 \
    EXPORT void *name(size_t size, size_t alignment, ##__VA_ARGS__);                                                   \
    EXPORT void *name(size_t size, size_t alignment, ##__VA_ARGS__)                                                    \
    {                                                                                                                  \
        return new_slow(size, tp_max(alignment, PRELOAD_ALIGNMENT), throws, TP_CALL_HERE());                           \
    }

#define DELETE(name, ...)                                                                                              \
    EXPORT void name(void *block, ##__VA_ARGS__);                                                                      \
    EXPORT void name(void *block, ##__VA_ARGS__)                                                                       \
    {                                                                                                                  \
        tp_free(block);                                                                                                \
    }

#define UNUSED __attribute__((unused))

NEW(_Znwm, true)
NEW(_Znam, true)
NEW(_ZnwmRKSt9nothrow_t, false, const void *tag UNUSED)
NEW(_ZnamRKSt9nothrow_t, false, const void *tag UNUSED)
NEW_ALIGNED(_ZnwmSt11align_val_t, true)
NEW_ALIGNED(_ZnamSt11align_val_t, true)
NEW_ALIGNED(_ZnwmSt11align_val_tRKSt9nothrow_t, false, const void *tag UNUSED)
NEW_ALIGNED(_ZnamSt11align_val_tRKSt9nothrow_t, false, const void *tag UNUSED)

DELETE(_ZdlPv)
DELETE(_ZdaPv)
DELETE(_ZdlPvm, size_t size UNUSED)
DELETE(_ZdaPvm, size_t size UNUSED)
DELETE(_ZdlPvSt11align_val_t, size_t alignment UNUSED)
DELETE(_ZdaPvSt11align_val_t, size_t alignment UNUSED)
DELETE(_ZdlPvmSt11align_val_t, size_t size UNUSED, size_t alignment UNUSED)
DELETE(_ZdaPvmSt11align_val_t, size_t size UNUSED, size_t alignment UNUSED)
DELETE(_ZdlPvRKSt9nothrow_t, const void *tag UNUSED)
DELETE(_ZdaPvRKSt9nothrow_t, const void *tag UNUSED)
DELETE(_ZdlPvSt11align_val_tRKSt9nothrow_t, size_t alignment UNUSED, const void *tag UNUSED)
DELETE(_ZdaPvSt11align_val_tRKSt9nothrow_t, size_t alignment UNUSED, const void *tag UNUSED)
