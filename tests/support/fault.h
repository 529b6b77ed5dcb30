/*
 * The operating system, and the engine's own sources of memory, made to refuse: the n-th of their calls fails.
 *
 * Put in by the linker (--wrap) in front of what really does it, so that the engine under test is the engine.
 */
#ifndef TEST_FAULT_H
#define TEST_FAULT_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <tagpool/tagpool.h>

/* The nth call from now on fails, once; 0: none does any more. */
void fault_at(unsigned nth);

/* Whether the last one that was to fail did. */
bool fault_happened(void);

/*
 * Run body() in a process of its own for each n = 1, 2, ... with the n-th call failing, until none is left to fail.
 * body must come to its end, and find nothing lost, whatever fails; the engine is there when it begins.  The number of
 * calls that failed.
 */
unsigned fault_each(void (*body)(void));

/* What tells the physical frames in place of the system (tp_os_page_frames); NULL: the system does. */
extern int (*fault_frames)(const void *addr, size_t count, uint64_t *frames);

/* In body: what does not hold is said and ends it. */
#define fault_must(condition)                                                                                          \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                                            \
            _Exit(1);                                                                                                  \
        }                                                                                                              \
    } while (0)

/* The end of body: no call fails any more, and nothing is live under the tag. */
void fault_must_be_empty(tagpool_kind_t kind, tagpool_tag_t tag);

#endif
