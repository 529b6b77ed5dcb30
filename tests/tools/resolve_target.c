#include "resolve_target.h"

#define TARGET_EXPORTED __attribute__((visibility("default"), noinline))

static __attribute__((noinline)) uintptr_t target_here(void)
{
    __asm__ volatile(""); /* so that each call stays one */
    return (uintptr_t)__builtin_return_address(0);
}

TARGET_EXPORTED struct target_place target_plain(void)
{
    struct target_place place = {target_here(), __LINE__, 0};
    return place;
}

static inline __attribute__((always_inline)) struct target_place target_inner(void)
{
    struct target_place place = {target_here(), __LINE__, 0};
    return place;
}

static inline __attribute__((always_inline)) struct target_place target_middle(void)
{
    struct target_place place = target_inner();
    return place;
}

TARGET_EXPORTED struct target_place target_with_inlined(void)
{
    struct target_place place = target_middle();
    place.outer_line = __LINE__ - 1;
    return place;
}

static __attribute__((noinline)) struct target_place target_static(void)
{
    struct target_place place = {target_here(), __LINE__, 0};
    return place;
}

TARGET_EXPORTED struct target_place target_of_static(void)
{
    struct target_place place = target_static();
    place.outer_line = 1; /* so that it is no tail call */
    return place;
}

TARGET_EXPORTED struct target_place target_cpp(void)
{
    struct target_place place = {target_here(), __LINE__, 0};
    return place;
}
