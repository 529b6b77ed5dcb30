#include "memory.h"
#include "report.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *memory_check(void *memory)
{
    if (memory == NULL) {
        report("there is not enough memory to go on.");
        exit(STATUS_FAILED);
    }
    return memory;
}

void *memory_alloc(size_t count, size_t size)
{
    return memory_check(calloc(count != 0 ? count : 1, size));
}

void *memory_grow(void *items, size_t count, size_t size)
{
    if ((count & (count - 1)) != 0) /* between two powers of two there is room */
        return items;
    return memory_check(reallocarray(items, count != 0 ? 2 * count : 1, size));
}

char *memory_copy_text(const char *text)
{
    return memory_check(strdup(text));
}

char *memory_format(const char *format, ...)
{
    char *text = NULL;
    va_list args;
    va_start(args, format);
    if (vasprintf(&text, format, args) < 0)
        text = NULL;
    va_end(args);
    return memory_check(text);
}
