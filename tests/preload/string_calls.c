/*
 * Each function that copies, fills, measures or prints strings: with what fits the block it does what it should; with
 * one character more, or after the block was freed, it is stopped where the verifier is at work.
 *
 * Usage: string_calls [verified]      status 0 if so
 */
#include "cases.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <wchar.h>

/* Of one wide character more, the first byte lies behind the block: as of one character. */
enum { SIZE = 64, MORE = SIZE + sizeof(wchar_t), LONG = 1000 };

extern int __sprintf_chk(char *to, int level, size_t known, const char *format, ...);
extern int __snprintf_chk(char *to, size_t room, int level, size_t known, const char *format, ...);
extern int __vsprintf_chk(char *to, int level, size_t known, const char *format, va_list values);
extern int __vsnprintf_chk(char *to, size_t room, int level, size_t known, const char *format, va_list values);

static char text[LONG + 1], out[LONG];
static wchar_t wide_text[LONG + 1], wide_out[LONG];

/* A text that takes n bytes, with its end. */
#define TEXT(n) (text + LONG - ((n)-1))
#define WIDE(n) ((n) / sizeof(wchar_t))
#define WIDE_TEXT(n) (wide_text + LONG - (WIDE(n) - 1))

static void fill_texts(void)
{
    memset(text, 'x', LONG);
    wmemset(wide_text, L'x', LONG);
}

static int print(char *to, const char *format, ...)
{
    va_list values;
    va_start(values, format);
    int length = vsprintf(to, format, values);
    va_end(values);
    return length;
}

static int print_within(char *to, size_t room, const char *format, ...)
{
    va_list values;
    va_start(values, format);
    int length = vsnprintf(to, room, format, values);
    va_end(values);
    return length;
}

static int print_chk(char *to, const char *format, ...)
{
    va_list values;
    va_start(values, format);
    int length = __vsprintf_chk(to, 1, SIZE_MAX, format, values);
    va_end(values);
    return length;
}

static int print_within_chk(char *to, size_t room, const char *format, ...)
{
    va_list values;
    va_start(values, format);
    int length = __vsnprintf_chk(to, room, 1, SIZE_MAX, format, values);
    va_end(values);
    return length;
}

/* --- what writes n bytes to p: X(name, call, what it returns) -------------------------------------------------- */

#define WRITES(X)                                                                                                      \
    X(memcpy, memcpy(p, text, n), p)                                                                                   \
    X(mempcpy, mempcpy(p, text, n), p + n)                                                                             \
    X(memmove, memmove(p, text, n), p)                                                                                 \
    X(memset, memset(p, 'x', n), p)                                                                                    \
    X(stpcpy, stpcpy(p, TEXT(n)), p + n - 1)                                                                           \
    X(strcpy, strcpy(p, TEXT(n)), p)                                                                                   \
    X(stpncpy, stpncpy(p, "xy", n), p + 2)                                                                             \
    X(strncpy, strncpy(p, "xy", n), p)                                                                                 \
    X(strcat, (strcpy(p, "x"), strcat(p, TEXT(n - 1))), p)                                                             \
    X(strncat, (strcpy(p, "x"), strncat(p, text, n - 2)), p)                                                           \
    X(sprintf, sprintf(p, "%s", TEXT(n)), (int)n - 1)                                                                  \
    X(snprintf, snprintf(p, LONG, "%s", TEXT(n)), (int)n - 1)                                                          \
    X(snprintf_cut, snprintf(p, n, "%s", text), LONG)                                                                  \
    X(vsprintf, print(p, "%s", TEXT(n)), (int)n - 1)                                                                   \
    X(vsnprintf, print_within(p, LONG, "%s", TEXT(n)), (int)n - 1)                                                     \
    X(vsnprintf_cut, print_within(p, n, "%s", text), LONG)                                                             \
    X(sprintf_chk, __sprintf_chk(p, 1, SIZE_MAX, "%s", TEXT(n)), (int)n - 1)                                           \
    X(snprintf_chk, __snprintf_chk(p, LONG, 1, SIZE_MAX, "%s", TEXT(n)), (int)n - 1)                                   \
    X(vsprintf_chk, print_chk(p, "%s", TEXT(n)), (int)n - 1)                                                           \
    X(vsnprintf_chk, print_within_chk(p, n, "%s", text), LONG)                                                         \
    X(wmemcpy, wmemcpy(WP, wide_text, WIDE(n)), WP)                                                                    \
    X(wmemmove, wmemmove(WP, wide_text, WIDE(n)), WP)                                                                  \
    X(wmemset, wmemset(WP, L'x', WIDE(n)), WP)                                                                         \
    X(wcscpy, wcscpy(WP, WIDE_TEXT(n)), WP)                                                                            \
    X(wcsncpy, wcsncpy(WP, L"xy", WIDE(n)), WP)                                                                        \
    X(wcscat, (wcscpy(WP, L"x"), wcscat(WP, WIDE_TEXT(n) + 1)), WP)                                                    \
    X(wcsncat, (wcscpy(WP, L"x"), wcsncat(WP, wide_text, WIDE(n) - 2)), WP)

/* And what reads as many, where there is no end before, if they are those of a text. */
#define READS(X)                                                                                                       \
    X(from_memcpy, memcpy(out, p, n), out)                                                                             \
    X(from_memmove, memmove(out, p, n), out)                                                                           \
    X(strlen, strlen(p), n - 1)                                                                                        \
    X(strnlen, strnlen(p, LONG), n - 1)                                                                                \
    X(strnlen_cut, strnlen(p, n), n - 1)                                                                               \
    X(from_stpcpy, stpcpy(out, p), out + n - 1)                                                                        \
    X(from_strcpy, strcpy(out, p), out)                                                                                \
    X(from_strncpy, strncpy(out, p, n), out)                                                                           \
    X(from_strcat, strcat(out, p), out)                                                                                \
    X(from_wmemcpy, wmemcpy(wide_out, WP, WIDE(n)), wide_out)                                                          \
    X(wcslen, wcslen(WP), WIDE(n) - 1)                                                                                 \
    X(wcsnlen, wcsnlen(WP, LONG), WIDE(n) - 1)                                                                         \
    X(from_wcscpy, wcscpy(wide_out, WP), wide_out)                                                                     \
    X(from_wcscat, wcscat(wide_out, WP), wide_out)

#define WP ((wchar_t *)(void *)p)

#define X(name, call, result)                                                                                          \
    static bool call_##name(char *p, size_t n)                                                                         \
    {                                                                                                                  \
        return (call) == (result);                                                                                     \
    }
WRITES(X)
READS(X)
#undef X

static const struct string_call {
    const char *name;
    bool (*call)(char *p, size_t n);
    bool reads;
} string_calls[] = {
#define X(name, call, result) {#name, call_##name, false},
    WRITES(X)
#undef X
#define X(name, call, result) {#name, call_##name, true},
        READS(X)
#undef X
};

/* --- in which ways -------------------------------------------------------------------------------------------- */

static const struct string_call *now;

/* With a text of n bytes; of one that is longer than the block, the end is missing. */
static char *block_with(size_t n)
{
    char *p = malloc(SIZE);
    fill_texts();
    if (!now->reads)
        return p;
    if (strchr(now->name, 'w') != NULL)
        wmemcpy(WP, n <= SIZE ? WIDE_TEXT(n) : wide_text, WIDE(SIZE));
    else
        memcpy(p, n <= SIZE ? TEXT(n) : text, SIZE);
    return p;
}

static void with_what_fits(void)
{
    char *p = block_with(SIZE);
    errno = 33;
    must(now->call(p, SIZE) && errno == 33);
    free(p);
}

static void with_what_is_no_block(void)
{
    static char here[SIZE] __attribute__((aligned(16)));
    char *p = block_with(SIZE);
    memcpy(here, p, now->reads ? SIZE : 0);
    must(now->call(here, SIZE));
}

/* Who is not stopped in the call is not by a later look either. */
static void call_and_end(char *p, size_t n)
{
    now->call(p, n);
    kill(getpid(), SIGKILL);
}

static void with_one_more(void)
{
    call_and_end(block_with(MORE), MORE);
}

static void after_it_was_freed(void)
{
    char *p = block_with(MORE);
    free(p);
    call_and_end(p, SIZE);
}

static bool check(const char *way, void (*body)(void), int signal)
{
    int status = case_status(body);
    bool good = signal != 0 ? WIFSIGNALED(status) && WTERMSIG(status) == signal : status == 0;
    if (!good)
        printf("FAILED %s %s (status %#x)\n", now->name, way, (unsigned)status);
    return good;
}

int main(int argc, char **argv)
{
    bool good = true, is_verified = argc > 1 && strcmp(argv[1], "verified") == 0;
    for (now = string_calls; now < string_calls + sizeof(string_calls) / sizeof(string_calls[0]); now++) {
        good &= check("with what fits", with_what_fits, 0);
        good &= check("with what is no block", with_what_is_no_block, 0);
        if (is_verified)
            good &= check("with one more", with_one_more, SIGABRT) &
                    check("after it was freed", after_it_was_freed, SIGABRT);
    }
    return good ? 0 : 1;
}
