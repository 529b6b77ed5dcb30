/*
 * A program that stands still while its accounts are read: it says so on stdout and waits for a line on stdin.
 *
 * By system calls alone, so that waiting does not allocate.
 */
#ifndef TEST_HOLD_H
#define TEST_HOLD_H

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static inline void hold_say(const char *text)
{
    size_t length = strlen(text);
    if (write(STDOUT_FILENO, text, length) != (ssize_t)length)
        _exit(3);
}

static inline void hold(void)
{
    char answer;
    hold_say("ready\n");
    if (read(STDIN_FILENO, &answer, 1) < 0)
        _exit(4);
}

/* What a reader must see now in the program's own row. */
static inline void hold_counts(uint64_t allocs, uint64_t frees)
{
    char text[64];
    snprintf(text, sizeof(text), "counts %llu %llu\n", (unsigned long long)allocs, (unsigned long long)frees);
    hold_say(text);
    hold();
}

#endif
