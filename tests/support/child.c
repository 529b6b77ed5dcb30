#include "child.h"

#include <tagpool/rules.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void child_read_all(int fd, char *text, size_t size)
{
    size_t length = 0;
    ssize_t n;
    while (length + 1 < size && (n = read(fd, text + length, size - 1 - length)) > 0)
        length += (size_t)n;
    text[length] = '\0';
}

struct child_result child_run(void (*work)(void *), void *argument)
{
    struct child_result result = {.status = -1};
    int ends[2];
    if (pipe(ends) != 0)
        return result;
    pid_t pid = fork();
    if (pid == 0) {
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        close(ends[1]);
        work(argument);
        _exit(0);
    }
    close(ends[1]);
    child_read_all(ends[0], result.text, sizeof(result.text));
    close(ends[0]);
    if (pid < 0 || waitpid(pid, &result.status, 0) != pid)
        result.status = -1;
    return result;
}

bool child_succeeded(const struct child_result *result)
{
    return result->status == 0;
}

bool child_aborted(const struct child_result *result)
{
    return result->status != -1 && WIFSIGNALED(result->status) && WTERMSIG(result->status) == SIGABRT;
}

/* What a rule's stop begins with, from the table of rules. */
enum child_code {
#define X(name, code) CHILD_##name = (code),
    TAGPOOL_STOP_CODES(X)
#undef X
};

static const struct child_rule {
    const char *rule;
    unsigned long code;
    int constant_at;
    unsigned long constant;
    const char *name;
} child_rules[] = {
#define X(rule, code, at, constant, ...) {#rule, CHILD_##code, at, constant, #code},
    TAGPOOL_RULES(X)
#undef X
};

bool child_stopped(const struct child_result *result, const char *rule)
{
    unsigned long code, parameters[4];
    char name[64];
    const struct child_rule *row = child_rules;
    while (strcmp(row->rule, rule) != 0)
        row++;
    int fields = sscanf(result->text, "*** STOP: 0x%8lX (0x%16lX, 0x%16lX, 0x%16lX, 0x%16lX) %63s", &code,
                        &parameters[0], &parameters[1], &parameters[2], &parameters[3], name);
    return child_aborted(result) && fields == 6 && code == row->code && strcmp(name, row->name) == 0 &&
           (row->constant_at == 0 || parameters[row->constant_at - 1] == row->constant);
}
