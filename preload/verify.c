/*
 * What the verifier's own module (strings.c, calls.c) asks of this one.
 */
#include "preload.h"
#include "range.h"
#include "tag.h"

void tagpool_verify_range(const void *p, size_t size, enum tagpool_report_access access, const void *caller);
void tagpool_verify_buffer(const void *p, size_t size, enum tagpool_report_access access, const void *caller);

/* The text of this module: calls from there are the engine's, which may touch all there is. */
extern const char __ehdr_start[] __attribute__((visibility("hidden")));
extern const char etext[] __attribute__((visibility("hidden")));

static bool verify_is_concerned(const void *caller)
{
    bool is_own = (uintptr_t)caller - (uintptr_t)__ehdr_start < (uintptr_t)etext - (uintptr_t)__ehdr_start;
    return tp_peek(&tp_tag_rules_on) != 0 && !is_own;
}

EXPORT void tagpool_verify_range(const void *p, size_t size, enum tagpool_report_access access, const void *caller)
{
    if (verify_is_concerned(caller))
        tp_range_check(p, size, access);
}

EXPORT void tagpool_verify_buffer(const void *p, size_t size, enum tagpool_report_access access, const void *caller)
{
    if (verify_is_concerned(caller))
        tp_range_check_call(p, size, access);
}
