/*
 * Stops: a rule that the caller broke is reported, and the program ends by SIGABRT.
 *
 * Who nobody listens to says it on stderr, in one line of the original's form and one sentence.  Where a verifier is at
 * work it tells more, in its own way (tp_stop_tell).  Neither allocates nor uses stdio, so a damaged heap does not
 * matter.  A second stop, of another thread or within the first report, waits for the end, or brings it.
 */
#ifndef TP_FATAL_H
#define TP_FATAL_H

#include "base.h"

#include <tagpool/rules.h>

enum tp_rule {
    TP_RULE_NONE,
#define X(name, ...) TP_##name,
    TAGPOOL_RULES(X)
#undef X
        TP_RULE_COUNT,
};

/* A rule that was broken. */
struct tp_violation {
    enum tp_rule rule;
    uint32_t code;
    uintptr_t parameters[4];
    const void *address; /* what was freed or touched; NULL: none */
    uint32_t tag;        /* 0: none to name */
    size_t size;         /* that was about to be touched; 0: nothing, or not known */
    const void *context; /* of the signal that told of it; NULL: the stop was called for */
};

/*
 * Stop for a rule.  a, b, c: the parameters in their order, but for the one that is constant for the rule; where none
 * is, the fourth is 0.  `tag` of 0: none to name.
 */
void tp_stop(enum tp_rule rule, uintptr_t a, uintptr_t b, uintptr_t c, const void *address, uint32_t tag)
    __attribute__((noreturn, cold));

/* The same from a signal handler: `context` is its ucontext_t. */
void tp_stop_in_signal(enum tp_rule rule, uintptr_t a, uintptr_t b, uintptr_t c, const void *address, uint32_t tag,
                       const void *context) __attribute__((noreturn, cold));

/* The same for `size` bytes that are about to be read or written, of which `address` is the first that must not be. */
void tp_stop_touch(enum tp_rule rule, const void *address, bool is_write, size_t size, uint32_t tag)
    __attribute__((noreturn, cold));

/* Have a report made elsewhere; false: it is to be said on stderr after all.  NULL: nobody makes one. */
extern bool (*tp_stop_tell)(const struct tp_violation *violation);

/* Not a rule that anyone broke: the process cannot go on.  `what` ends the line. */
void tp_fail(const char *what) __attribute__((noreturn, cold));

#endif
