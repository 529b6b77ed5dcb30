/*
 * The functions that start another program.  It inherits which signals are ignored, and has to inherit that of those
 * that the trap handles in the program's place (trap.h).
 *
 * system and popen start theirs inside the C library: it finds the standard action there.
 */
#include "preload.h"

#include "trap.h"

#include <spawn.h>
#include <stdarg.h>
#include <unistd.h>

#define EXEC_CALLS(X)                                                                                                  \
    X(execve, (const char *path, char *const *arguments, char *const *variables), (path, arguments, variables))        \
    X(execv, (const char *path, char *const *arguments), (path, arguments))                                            \
    X(execvp, (const char *file, char *const *arguments), (file, arguments))                                           \
    X(execvpe, (const char *file, char *const *arguments, char *const *variables), (file, arguments, variables))       \
    X(execveat, (int fd, const char *path, char *const *arguments, char *const *variables, int flags),                 \
      (fd, path, arguments, variables, flags))                                                                         \
    X(fexecve, (int fd, char *const *arguments, char *const *variables), (fd, arguments, variables))                   \
    X(posix_spawn,                                                                                                     \
      (pid_t * pid, const char *path, const posix_spawn_file_actions_t *actions, const posix_spawnattr_t *attributes,  \
       char *const *arguments, char *const *variables),                                                                \
      (pid, path, actions, attributes, arguments, variables))                                                          \
    X(posix_spawnp,                                                                                                    \
      (pid_t * pid, const char *file, const posix_spawn_file_actions_t *actions, const posix_spawnattr_t *attributes,  \
       char *const *arguments, char *const *variables),                                                                \
      (pid, file, actions, attributes, arguments, variables))

enum {
#define X(name, parameters, names) EXEC_##name,
    EXEC_CALLS(X)
#undef X
        EXEC_COUNT,
};

static struct preload_next exec_next[EXEC_COUNT] = {
#define X(name, parameters, names) {#name, NULL},
    EXEC_CALLS(X)
#undef X
};

static __attribute__((constructor)) void exec_start(void)
{
    preload_look_up_all(exec_next, EXEC_COUNT);
}

#define X(name, parameters, names)                                                                                     \
    EXPORT int name parameters                                                                                         \
    {                                                                                                                  \
        int(*next) parameters = (int(*) parameters)(uintptr_t)preload_find(&exec_next[EXEC_##name]);                   \
        tp_trap_begin_exec();                                                                                          \
        int result = next names;                                                                                       \
        tp_trap_end_exec();                                                                                            \
        return result;                                                                                                 \
    }
EXEC_CALLS(X)
#undef X

/* --- arguments one by one ------------------------------------------------------------------------------------- */

/* How many there are, the NULL behind them included. */
static size_t exec_count(const char *first, va_list rest)
{
    size_t count = 1;
    for (const char *argument = first; argument != NULL; argument = va_arg(rest, const char *))
        count++;
    return count;
}

static void exec_gather(char **arguments, const char *first, va_list *rest)
{
    const char *argument = first;
    for (; argument != NULL; argument = va_arg(*rest, const char *))
        *arguments++ = (char *)(uintptr_t)argument;
    *arguments = NULL;
}

/* `call` starts the program, with `list` behind its arguments. */
#define EXEC_LIST(name, call)                                                                                          \
    EXPORT int name(const char *path, const char *first, ...)                                                          \
    {                                                                                                                  \
        va_list list;                                                                                                  \
        va_start(list, first);                                                                                         \
        char *arguments[exec_count(first, list)];                                                                      \
        va_end(list);                                                                                                  \
        va_start(list, first);                                                                                         \
        exec_gather(arguments, first, &list);                                                                          \
        int result = call;                                                                                             \
        va_end(list);                                                                                                  \
        return result;                                                                                                 \
    }

EXEC_LIST(execl, execv(path, arguments))
EXEC_LIST(execlp, execvp(path, arguments))
EXEC_LIST(execle, execve(path, arguments, va_arg(list, char *const *)))
