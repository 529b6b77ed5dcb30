/*
 * A piece of a test in a process of its own: how it ended and what it said on stderr.
 */
#ifndef TEST_CHILD_H
#define TEST_CHILD_H

#include <stdbool.h>
#include <stddef.h>

struct child_result {
    int status; /* of waitpid */
    char text[4096];
};

/* Run work(argument) in a forked child, which exits with 0 if it comes back. */
struct child_result child_run(void (*work)(void *), void *argument);

bool child_succeeded(const struct child_result *result);
bool child_aborted(const struct child_result *result);

/* Ended by SIGABRT after the stop of a rule (by its name in rules.h), and nothing before it. */
bool child_stopped(const struct child_result *result, const char *rule);

#endif
