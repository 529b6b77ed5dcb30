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

static __attribute__((noreturn)) void new_throw(void)
{
    void (*throw_bad_alloc)(void) = (void (*)(void))(uintptr_t)new_library_symbol("_ZSt17__throw_bad_allocv");
    if (throw_bad_alloc != NULL)
        throw_bad_alloc();
    abort();
}

/* Which operator was called: the plain or the aligned one; and the C++ library's name of a form that may not throw. */
struct new_form {
    enum tagpool_report_face face;
    size_t alignment; /* 0: plain */
    const char *nothrow;
};

/*
 * A handler may throw, and a form that returns null must catch that, which C cannot: the C++ library's own form calls
 * our throwing one inside a try block.
 */
static void *new_by_library(size_t size, const struct new_form *form)
{
    static const char nothrow_tag;
    void *function = dlsym(RTLD_NEXT, form->nothrow);
    if (function == NULL)
        return NULL;
    if (form->alignment != 0)
        return ((void *(*)(size_t, size_t, const void *))(uintptr_t)function)(size, form->alignment, &nothrow_tag);
    return ((void *(*)(size_t, const void *))(uintptr_t)function)(size, &nothrow_tag);
}

/* [new.delete.single]: call the handler and try again, while there is one. */
static TP_NOINLINE void *new_slow(size_t size, struct new_form form, struct tp_call call)
{
    for (;;) {
        void *block = preload_alloc_slow(size, tp_max(form.alignment, PRELOAD_ALIGNMENT), call, form.face);
        if (block != NULL)
            return block;
        new_handler handler = new_current_handler();
        if (form.nothrow != NULL)
            return handler != NULL ? new_by_library(size, &form) : NULL;
        if (handler == NULL)
            new_throw();
        handler();
    }
}

#define NEW(name, face, nothrow, ...)                                                                                  \
    EXPORT void *name(size_t size, ##__VA_ARGS__);                                                                     \
    EXPORT void *name(size_t size, ##__VA_ARGS__)                                                                      \
    {                                                                                                                  \
        void *block = PRELOAD_FAST(size);                                                                              \
        if (TP_LIKELY(block != NULL))                                                                                  \
            return block;                                                                                              \
        return new_slow(size, (struct new_form){face, 0, nothrow}, TP_CALL_HERE());                                    \
    }

#define NEW_ALIGNED(name, face, nothrow, ...)                                                                          \
    EXPORT void *name(size_t size, size_t alignment, ##__VA_ARGS__);                                                   \
    EXPORT void *name(size_t size, size_t alignment, ##__VA_ARGS__)                                                    \
    {                                                                                                                  \
        return new_slow(size, (struct new_form){face, alignment, nothrow}, TP_CALL_HERE());                            \
    }

#define DELETE(name, face, ...)                                                                                        \
    EXPORT void name(void *block, ##__VA_ARGS__);                                                                      \
    EXPORT void name(void *block, ##__VA_ARGS__)                                                                       \
    {                                                                                                                  \
        tp_free(block, face);                                                                                          \
    }

#define DELETE_SIZED(name, face, ...)                                                                                  \
    EXPORT void name(void *block, size_t size, ##__VA_ARGS__);                                                         \
    EXPORT void name(void *block, size_t size, ##__VA_ARGS__)                                                          \
    {                                                                                                                  \
        tp_free_sized(block, face, size);                                                                              \
    }

#define UNUSED __attribute__((unused))

NEW(_Znwm, TAGPOOL_REPORT_NEW, NULL)
NEW(_Znam, TAGPOOL_REPORT_NEW_ARRAY, NULL)
NEW(_ZnwmRKSt9nothrow_t, TAGPOOL_REPORT_NEW, "_ZnwmRKSt9nothrow_t", const void *tag UNUSED)
NEW(_ZnamRKSt9nothrow_t, TAGPOOL_REPORT_NEW_ARRAY, "_ZnamRKSt9nothrow_t", const void *tag UNUSED)
NEW_ALIGNED(_ZnwmSt11align_val_t, TAGPOOL_REPORT_NEW, NULL)
NEW_ALIGNED(_ZnamSt11align_val_t, TAGPOOL_REPORT_NEW_ARRAY, NULL)
NEW_ALIGNED(_ZnwmSt11align_val_tRKSt9nothrow_t, TAGPOOL_REPORT_NEW, "_ZnwmSt11align_val_tRKSt9nothrow_t",
            const void *tag UNUSED)
NEW_ALIGNED(_ZnamSt11align_val_tRKSt9nothrow_t, TAGPOOL_REPORT_NEW_ARRAY, "_ZnamSt11align_val_tRKSt9nothrow_t",
            const void *tag UNUSED)

DELETE(_ZdlPv, TAGPOOL_REPORT_NEW)
DELETE(_ZdaPv, TAGPOOL_REPORT_NEW_ARRAY)
DELETE_SIZED(_ZdlPvm, TAGPOOL_REPORT_NEW)
DELETE_SIZED(_ZdaPvm, TAGPOOL_REPORT_NEW_ARRAY)
DELETE(_ZdlPvSt11align_val_t, TAGPOOL_REPORT_NEW, size_t alignment UNUSED)
DELETE(_ZdaPvSt11align_val_t, TAGPOOL_REPORT_NEW_ARRAY, size_t alignment UNUSED)
DELETE_SIZED(_ZdlPvmSt11align_val_t, TAGPOOL_REPORT_NEW, size_t alignment UNUSED)
DELETE_SIZED(_ZdaPvmSt11align_val_t, TAGPOOL_REPORT_NEW_ARRAY, size_t alignment UNUSED)
DELETE(_ZdlPvRKSt9nothrow_t, TAGPOOL_REPORT_NEW, const void *tag UNUSED)
DELETE(_ZdaPvRKSt9nothrow_t, TAGPOOL_REPORT_NEW_ARRAY, const void *tag UNUSED)
DELETE(_ZdlPvSt11align_val_tRKSt9nothrow_t, TAGPOOL_REPORT_NEW, size_t alignment UNUSED, const void *tag UNUSED)
DELETE(_ZdaPvSt11align_val_tRKSt9nothrow_t, TAGPOOL_REPORT_NEW_ARRAY, size_t alignment UNUSED, const void *tag UNUSED)
