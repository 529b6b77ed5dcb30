/*
 * Functions of the C library that copy and fill memory, each with a look at the ranges it is given: a module of its
 * own, which is there only where a program runs under the verifier.
 *
 * A range that leaves the checked block it begins in is stopped before anything is written, also where no guard page is
 * near: behind the block's last byte, and before its first.  Calls that compilers turn into instructions are not seen.
 */
#include <stdint.h>
#include <string.h>
#include <wchar.h>

#include <dlfcn.h>
#include <tagpool/report.h>

#define EXPORT __attribute__((visibility("default")))
#define ALWAYS_INLINE static inline __attribute__((always_inline))

/* Of the preload module: does nothing where no rule is in force, and for calls of its own. */
extern void tagpool_verify_range(const void *p, size_t size, enum tagpool_report_access access, const void *caller)
    __attribute__((weak));

#define READS(p, size) strings_check((p), (size), TAGPOOL_REPORT_READ, __builtin_return_address(0))
#define WRITES(p, size) strings_check((p), (size), TAGPOOL_REPORT_WRITE, __builtin_return_address(0))

ALWAYS_INLINE void strings_check(const void *p, size_t size, enum tagpool_report_access access, const void *caller)
{
    if (tagpool_verify_range != NULL)
        tagpool_verify_range(p, size, access, caller);
}

/* --- copies, byte by byte where nothing else is known yet ------------------------------------------------------ */

/*
 * The C library's own functions, looked up when this module is loaded.  Until then, and while they are looked up, these
 * work by themselves.
 */
static void *(*next_memcpy)(void *, const void *, size_t);
static void *(*next_memmove)(void *, const void *, size_t);
static void *(*next_memset)(void *, int, size_t);

static __attribute__((constructor)) void strings_start(void)
{
    void *copy = dlsym(RTLD_NEXT, "memcpy"), *move = dlsym(RTLD_NEXT, "memmove"), *set = dlsym(RTLD_NEXT, "memset");
    next_memcpy = (void *(*)(void *, const void *, size_t))(uintptr_t)copy;
    next_memmove = (void *(*)(void *, const void *, size_t))(uintptr_t)move;
    next_memset = (void *(*)(void *, int, size_t))(uintptr_t)set;
}

static void *plain_move(void *to, const void *from, size_t size)
{
    unsigned char *t = to;
    const unsigned char *f = from;
    if (t <= f)
        for (size_t i = 0; i < size; i++)
            t[i] = f[i];
    else
        for (size_t i = size; i-- > 0;)
            t[i] = f[i];
    return to;
}

static void *plain_set(void *to, int value, size_t size)
{
    for (size_t i = 0; i < size; i++)
        ((unsigned char *)to)[i] = (unsigned char)value;
    return to;
}

ALWAYS_INLINE void *copy_bytes(void *to, const void *from, size_t size)
{
    return __builtin_expect(next_memcpy != NULL, 1) ? next_memcpy(to, from, size) : plain_move(to, from, size);
}

ALWAYS_INLINE void *move_bytes(void *to, const void *from, size_t size)
{
    return __builtin_expect(next_memmove != NULL, 1) ? next_memmove(to, from, size) : plain_move(to, from, size);
}

ALWAYS_INLINE void *set_bytes(void *to, int value, size_t size)
{
    return __builtin_expect(next_memset != NULL, 1) ? next_memset(to, value, size) : plain_set(to, value, size);
}

/* --- memory --------------------------------------------------------------------------------------------------- */

EXPORT void *memcpy(void *restrict to, const void *restrict from, size_t size)
{
    READS(from, size);
    WRITES(to, size);
    return copy_bytes(to, from, size);
}

EXPORT void *mempcpy(void *restrict to, const void *restrict from, size_t size)
{
    READS(from, size);
    WRITES(to, size);
    return (char *)copy_bytes(to, from, size) + size;
}

EXPORT void *memmove(void *to, const void *from, size_t size)
{
    READS(from, size);
    WRITES(to, size);
    return move_bytes(to, from, size);
}

EXPORT void *memset(void *to, int value, size_t size)
{
    WRITES(to, size);
    return set_bytes(to, value, size);
}

/* --- strings -------------------------------------------------------------------------------------------------- */

EXPORT char *stpcpy(char *restrict to, const char *restrict from)
{
    size_t size = strlen(from) + 1;
    READS(from, size);
    WRITES(to, size);
    return (char *)copy_bytes(to, from, size) + size - 1;
}

EXPORT char *strcpy(char *restrict to, const char *restrict from)
{
    size_t size = strlen(from) + 1;
    READS(from, size);
    WRITES(to, size);
    return copy_bytes(to, from, size);
}

/* What is shorter is filled up with zeros. */
EXPORT char *strncpy(char *restrict to, const char *restrict from, size_t size)
{
    size_t length = strnlen(from, size);
    READS(from, length < size ? length + 1 : size);
    WRITES(to, size);
    copy_bytes(to, from, length);
    set_bytes(to + length, 0, size - length);
    return to;
}

EXPORT char *strcat(char *restrict to, const char *restrict from)
{
    size_t before = strlen(to), size = strlen(from) + 1;
    READS(from, size);
    WRITES(to, before + size);
    copy_bytes(to + before, from, size);
    return to;
}

EXPORT char *strncat(char *restrict to, const char *restrict from, size_t size)
{
    size_t before = strlen(to), length = strnlen(from, size);
    READS(from, length < size ? length + 1 : size);
    WRITES(to, before + length + 1);
    copy_bytes(to + before, from, length);
    to[before + length] = '\0';
    return to;
}

/* --- wide characters ------------------------------------------------------------------------------------------ */

#define WIDE(count) ((count) * sizeof(wchar_t))

EXPORT wchar_t *wmemcpy(wchar_t *restrict to, const wchar_t *restrict from, size_t count)
{
    READS(from, WIDE(count));
    WRITES(to, WIDE(count));
    return copy_bytes(to, from, WIDE(count));
}

EXPORT wchar_t *wmemmove(wchar_t *to, const wchar_t *from, size_t count)
{
    READS(from, WIDE(count));
    WRITES(to, WIDE(count));
    return move_bytes(to, from, WIDE(count));
}

EXPORT wchar_t *wmemset(wchar_t *to, wchar_t value, size_t count)
{
    WRITES(to, WIDE(count));
    for (size_t i = 0; i < count; i++)
        to[i] = value;
    return to;
}

EXPORT wchar_t *wcscpy(wchar_t *restrict to, const wchar_t *restrict from)
{
    size_t size = WIDE(wcslen(from) + 1);
    READS(from, size);
    WRITES(to, size);
    return copy_bytes(to, from, size);
}

EXPORT wchar_t *wcsncpy(wchar_t *restrict to, const wchar_t *restrict from, size_t count)
{
    size_t length = wcsnlen(from, count);
    READS(from, WIDE(length < count ? length + 1 : count));
    WRITES(to, WIDE(count));
    copy_bytes(to, from, WIDE(length));
    set_bytes(to + length, 0, WIDE(count - length));
    return to;
}

EXPORT wchar_t *wcscat(wchar_t *restrict to, const wchar_t *restrict from)
{
    size_t before = wcslen(to), size = WIDE(wcslen(from) + 1);
    READS(from, size);
    WRITES(to, WIDE(before) + size);
    copy_bytes(to + before, from, size);
    return to;
}

EXPORT wchar_t *wcsncat(wchar_t *restrict to, const wchar_t *restrict from, size_t count)
{
    size_t before = wcslen(to), length = wcsnlen(from, count);
    READS(from, WIDE(length < count ? length + 1 : count));
    WRITES(to, WIDE(before + length + 1));
    copy_bytes(to + before, from, WIDE(length));
    to[before + length] = L'\0';
    return to;
}
