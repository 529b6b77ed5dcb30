/*
 * Functions of the C library that print into memory, each with a look at what it wrote: in the module that is there
 * only where a program runs under the verifier.
 *
 * How much they write is known when they are done.  What went too far is written by then, where no guard page was in
 * its way; but it is told of here, in the call that did it, and not where a block is found changed some time later.
 */

/* Each name stands for itself here, and none for a function with checks of its own. */
#undef _FORTIFY_SOURCE

#include "next.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include <tagpool/report.h>

#define EXPORT __attribute__((visibility("default")))
#define ALWAYS_INLINE static inline __attribute__((always_inline))

/* Of the preload module: does nothing where no rule is in force, and for calls of its own. */
extern void tagpool_verify_range(const void *p, size_t size, enum tagpool_report_access access, const void *caller)
    __attribute__((weak));

/* What a text of `length` characters took of the room there is, its end included; of a failed call nothing is known. */
ALWAYS_INLINE int formats_check(const char *to, size_t room, int length, const void *caller)
{
    if (length >= 0 && tagpool_verify_range != NULL)
        tagpool_verify_range(to, (size_t)length < room ? (size_t)length + 1 : room, TAGPOOL_REPORT_WRITE, caller);
    return length;
}

/* --- the C library's own -------------------------------------------------------------------------------------- */

/* Compilers call the last two where a program was built with _FORTIFY_SOURCE. */
#define FORMATS(X)                                                                                                     \
    X(vsprintf, (char *to, const char *format, va_list values))                                                        \
    X(vsnprintf, (char *to, size_t room, const char *format, va_list values))                                          \
    X(__vsprintf_chk, (char *to, int level, size_t known, const char *format, va_list values))                         \
    X(__vsnprintf_chk, (char *to, size_t room, int level, size_t known, const char *format, va_list values))

enum formats_index {
#define X(name, parameters) FORMATS_##name,
    FORMATS(X)
#undef X
        FORMATS_COUNT,
};

static struct next_function formats_next[FORMATS_COUNT] = {
#define X(name, parameters) {#name, NULL},
    FORMATS(X)
#undef X
};

static __attribute__((constructor)) void formats_start(void)
{
    next_look_up_all(formats_next, FORMATS_COUNT);
}

#define X(name, parameters) typedef int formats_##name parameters;
FORMATS(X)
#undef X
#define NEXT(name) ((formats_##name *)(uintptr_t)next_find(&formats_next[FORMATS_##name]))

/* --- the functions -------------------------------------------------------------------------------------------- */

#define CHECKED(to, room, length) formats_check((to), (room), (length), __builtin_return_address(0))

EXPORT int vsprintf(char *restrict to, const char *restrict format, va_list values)
{
    return CHECKED(to, SIZE_MAX, NEXT(vsprintf)(to, format, values));
}

EXPORT int vsnprintf(char *restrict to, size_t room, const char *restrict format, va_list values)
{
    return CHECKED(to, room, NEXT(vsnprintf)(to, room, format, values));
}

EXPORT int sprintf(char *restrict to, const char *restrict format, ...)
{
    va_list values;
    va_start(values, format);
    int length = NEXT(vsprintf)(to, format, values);
    va_end(values);
    return CHECKED(to, SIZE_MAX, length);
}

EXPORT int snprintf(char *restrict to, size_t room, const char *restrict format, ...)
{
    va_list values;
    va_start(values, format);
    int length = NEXT(vsnprintf)(to, room, format, values);
    va_end(values);
    return CHECKED(to, room, length);
}

EXPORT int __vsprintf_chk(char *to, int level, size_t known, const char *format, va_list values);
EXPORT int __vsprintf_chk(char *to, int level, size_t known, const char *format, va_list values)
{
    return CHECKED(to, SIZE_MAX, NEXT(__vsprintf_chk)(to, level, known, format, values));
}

EXPORT int __vsnprintf_chk(char *to, size_t room, int level, size_t known, const char *format, va_list values);
EXPORT int __vsnprintf_chk(char *to, size_t room, int level, size_t known, const char *format, va_list values)
{
    return CHECKED(to, room, NEXT(__vsnprintf_chk)(to, room, level, known, format, values));
}

EXPORT int __sprintf_chk(char *to, int level, size_t known, const char *format, ...);
EXPORT int __sprintf_chk(char *to, int level, size_t known, const char *format, ...)
{
    va_list values;
    va_start(values, format);
    int length = NEXT(__vsprintf_chk)(to, level, known, format, values);
    va_end(values);
    return CHECKED(to, SIZE_MAX, length);
}

EXPORT int __snprintf_chk(char *to, size_t room, int level, size_t known, const char *format, ...);
EXPORT int __snprintf_chk(char *to, size_t room, int level, size_t known, const char *format, ...)
{
    va_list values;
    va_start(values, format);
    int length = NEXT(__vsnprintf_chk)(to, room, level, known, format, values);
    va_end(values);
    return CHECKED(to, room, length);
}
