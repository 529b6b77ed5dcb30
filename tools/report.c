#include "report.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *report_prefix = "tagpool";

void report_set_name(const char *name)
{
    report_prefix = name;
}

const char *report_name(void)
{
    return report_prefix;
}

static void report_list(const char *format, va_list args)
{
    fflush(stdout); /* so that both streams keep their order where they go to one place */
    fprintf(stderr, "%s: ", report_prefix);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
}

void report(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    report_list(format, args);
    va_end(args);
}

int report_usage(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    report_list(format, args);
    va_end(args);
    return STATUS_USAGE;
}

int report_flush_output(void)
{
    errno = 0;
    if (fflush(stdout) == 0 && !ferror(stdout))
        return STATUS_OK;
    int error = errno; /* 0 when an earlier write failed, whose reason is gone */
    fprintf(stderr, "%s: cannot write the output: %s\n", report_prefix, error != 0 ? strerror(error) : "write error");
    clearerr(stdout);
    return STATUS_FAILED;
}
