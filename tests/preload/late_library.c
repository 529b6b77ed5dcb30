/*
 * A library with destructors of thread-local objects, of exit and of its own: each allocates, frees what was kept,
 * and keeps another block.
 */
#include <stdlib.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))

extern int __cxa_thread_atexit_impl(void (*destructor)(void *), void *object, void *dso);
extern void *__dso_handle;

static char *late_kept;

static void late_turn(void)
{
    free(late_kept);
    late_kept = malloc(5000);
    memset(late_kept, 1, 5000);
    char *text = strdup("late");
    late_kept[0] = text[0];
    free(text);
}

static void late_object_end(void *object)
{
    late_turn();
    free(object);
    late_turn();
}

EXPORT void late_use(void)
{
    for (int i = 0; i < 20; i++)
        __cxa_thread_atexit_impl(late_object_end, malloc((size_t)i * 50 + 1), &__dso_handle);
    atexit(late_turn);
    late_turn();
}

static __attribute__((destructor)) void late_end(void)
{
    late_turn();
    free(late_kept);
    late_kept = NULL;
}
