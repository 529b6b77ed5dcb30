/*
 * Functions of the C library that copy and fill memory, and measure strings, each with a look at the ranges it is
 * given: a module of its own, which is there only where a program runs under the verifier.
 *
 * A range that leaves the checked block it begins in is stopped before anything is written, also where no guard page is
 * near: behind the block's last byte, and before its first.  How far a string goes is known when it was read.  Calls
 * that compilers turn into instructions are not seen.
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

/* --- copies and lengths, one by one where nothing else is known yet -------------------------------------------- */

/*
 * The C library's own functions, looked up when this module is loaded.  Until then, and while they are looked up, these
 * work by themselves.
 */
static void *(*next_memcpy)(void *, const void *, size_t);
static void *(*next_memmove)(void *, const void *, size_t);
static void *(*next_memset)(void *, int, size_t);
static size_t (*next_strlen)(const char *);
static size_t (*next_strnlen)(const char *, size_t);
static size_t (*next_wcslen)(const wchar_t *);
static size_t (*next_wcsnlen)(const wchar_t *, size_t);

#define LOOK_UP(name) (next_##name = (__typeof__(next_##name))(uintptr_t)dlsym(RTLD_NEXT, #name))

static __attribute__((constructor)) void strings_start(void)
{
    LOOK_UP(memcpy);
    LOOK_UP(memmove);
    LOOK_UP(memset);
    LOOK_UP(strlen);
    LOOK_UP(strnlen);
    LOOK_UP(wcslen);
    LOOK_UP(wcsnlen);
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

static size_t plain_length(const char *string, size_t most)
{
    size_t length = 0;
    while (length < most && string[length] != '\0')
        length++;
    return length;
}

static size_t plain_wide_length(const wchar_t *string, size_t most)
{
    size_t length = 0;
    while (length < most && string[length] != L'\0')
        length++;
    return length;
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

ALWAYS_INLINE size_t length_of(const char *string)
{
    return __builtin_expect(next_strlen != NULL, 1) ? next_strlen(string) : plain_length(string, SIZE_MAX);
}

ALWAYS_INLINE size_t length_within(const char *string, size_t most)
{
    return __builtin_expect(next_strnlen != NULL, 1) ? next_strnlen(string, most) : plain_length(string, most);
}

ALWAYS_INLINE size_t wide_length_of(const wchar_t *string)
{
    return __builtin_expect(next_wcslen != NULL, 1) ? next_wcslen(string) : plain_wide_length(string, SIZE_MAX);
}

ALWAYS_INLINE size_t wide_length_within(const wchar_t *string, size_t most)
{
    return __builtin_expect(next_wcsnlen != NULL, 1) ? next_wcsnlen(string, most) : plain_wide_length(string, most);
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

EXPORT size_t strlen(const char *string)
{
    size_t length = length_of(string);
    READS(string, length + 1);
    return length;
}

EXPORT size_t strnlen(const char *string, size_t most)
{
    size_t length = length_within(string, most);
    READS(string, length < most ? length + 1 : most);
    return length;
}

EXPORT char *stpcpy(char *restrict to, const char *restrict from)
{
    size_t size = length_of(from) + 1;
    READS(from, size);
    WRITES(to, size);
    return (char *)copy_bytes(to, from, size) + size - 1;
}

EXPORT char *strcpy(char *restrict to, const char *restrict from)
{
    size_t size = length_of(from) + 1;
    READS(from, size);
    WRITES(to, size);
    return copy_bytes(to, from, size);
}

/* What is shorter is filled up with zeros. */
EXPORT char *stpncpy(char *restrict to, const char *restrict from, size_t size)
{
    size_t length = length_within(from, size);
    READS(from, length < size ? length + 1 : size);
    WRITES(to, size);
    copy_bytes(to, from, length);
    set_bytes(to + length, 0, size - length);
    return to + length;
}

EXPORT char *strncpy(char *restrict to, const char *restrict from, size_t size)
{
    size_t length = length_within(from, size);
    READS(from, length < size ? length + 1 : size);
    WRITES(to, size);
    copy_bytes(to, from, length);
    set_bytes(to + length, 0, size - length);
    return to;
}

EXPORT char *strcat(char *restrict to, const char *restrict from)
{
    size_t before = length_of(to), size = length_of(from) + 1;
    READS(from, size);
    WRITES(to, before + size);
    copy_bytes(to + before, from, size);
    return to;
}

EXPORT char *strncat(char *restrict to, const char *restrict from, size_t size)
{
    size_t before = length_of(to), length = length_within(from, size);
    READS(from, length < size ? length + 1 : size);
    WRITES(to, before + length + 1);
    copy_bytes(to + before, from, length);
    to[before + length] = '\0';
    return to;
}

/* --- wide characters ------------------------------------------------------------------------------------------ */

#define WIDE(count) ((count) * sizeof(wchar_t))

EXPORT size_t wcslen(const wchar_t *string)
{
    size_t length = wide_length_of(string);
    READS(string, WIDE(length + 1));
    return length;
}

EXPORT size_t wcsnlen(const wchar_t *string, size_t most)
{
    size_t length = wide_length_within(string, most);
    READS(string, WIDE(length < most ? length + 1 : most));
    return length;
}

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
    size_t size = WIDE(wide_length_of(from) + 1);
    READS(from, size);
    WRITES(to, size);
    return copy_bytes(to, from, size);
}

EXPORT wchar_t *wcsncpy(wchar_t *restrict to, const wchar_t *restrict from, size_t count)
{
    size_t length = wide_length_within(from, count);
    READS(from, WIDE(length < count ? length + 1 : count));
    WRITES(to, WIDE(count));
    copy_bytes(to, from, WIDE(length));
    set_bytes(to + length, 0, WIDE(count - length));
    return to;
}

EXPORT wchar_t *wcscat(wchar_t *restrict to, const wchar_t *restrict from)
{
    size_t before = wide_length_of(to), size = WIDE(wide_length_of(from) + 1);
    READS(from, size);
    WRITES(to, WIDE(before) + size);
    copy_bytes(to + before, from, size);
    return to;
}

EXPORT wchar_t *wcsncat(wchar_t *restrict to, const wchar_t *restrict from, size_t count)
{
    size_t before = wide_length_of(to), length = wide_length_within(from, count);
    READS(from, WIDE(length < count ? length + 1 : count));
    WRITES(to, WIDE(before + length + 1));
    copy_bytes(to + before, from, WIDE(length));
    to[before + length] = L'\0';
    return to;
}
