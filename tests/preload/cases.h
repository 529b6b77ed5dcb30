/*
 * A test program of many cases, each in a process of its own; they hold without the module as well.
 */
#ifndef TEST_CASES_H
#define TEST_CASES_H

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

struct one_case {
    const char *name;
    void (*body)(void);
    int signal; /* that ends it; 0: it comes back */
};
#define CASE(body)                                                                                                     \
    {                                                                                                                  \
#body, body, 0                                                                                                 \
    }
#define CASE_DIES(body, signal)                                                                                        \
    {                                                                                                                  \
#body, body, signal                                                                                            \
    }

/* In a case: what does not hold is said and ends it. */
#define must(condition)                                                                                                \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                                            \
            _exit(1);                                                                                                  \
        }                                                                                                              \
    } while (0)

static inline int case_status(void (*body)(void))
{
    int status = -1;
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
        alarm(40);
        body();
        _exit(0);
    }
    return waitpid(pid, &status, 0) == pid ? status : -1;
}

/* 0 when all cases ended as they should. */
static inline int cases_run(const struct one_case *cases, size_t count)
{
    int failed = 0;
    for (const struct one_case *c = cases; c < cases + count; c++) {
        int status = case_status(c->body);
        int good = c->signal != 0 ? WIFSIGNALED(status) && WTERMSIG(status) == c->signal : status == 0;
        printf("%s %s (status %#x)\n", good ? "ok    " : "FAILED", c->name, (unsigned)status);
        failed += !good;
    }
    return failed != 0;
}

#endif
