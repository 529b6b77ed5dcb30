/*
 * Stops: a rule that the caller broke is reported on stderr in one line of the original's form and one sentence, and
 * the program ends by SIGABRT.  Neither allocates nor uses stdio, so a damaged heap does not matter.
 */
#ifndef TP_FATAL_H
#define TP_FATAL_H

#include "base.h"

enum tp_stop_code {
    TP_STOP_BAD_POOL_CALLER = 0xC2,
    TP_STOP_VIOLATION = 0xC4, /* DRIVER_VERIFIER_DETECTED_VIOLATION */
    TP_STOP_DMA = 0xE6,       /* DRIVER_VERIFIER_DMA_VIOLATION */
};

/* A rule, by the first parameter of its stop.  Meanings of the others: Windows' bug check reference. */
enum tp_rule {
    TP_CALLER_FREED_TWICE = 0x07,    /* -, tag, address */
    TP_CALLER_WRONG_TAG = 0x0A,      /* address, allocator's tag, tag given */
    TP_CALLER_NO_POOL = 0x42,        /* address, 0, 0: never in any pool */
    TP_CALLER_INVALID = 0x46,        /* address, 0, 0: in a pool, but nothing is allocated there */
    TP_CALLER_MIDDLE = 0x41286,      /* address, block, offset: in the middle of an allocation */
    TP_LOOKASIDE_UNKNOWN = 0xCB,     /* list, 0, 0: of VIOLATION */
    TP_DMA_FREED_TOO_OFTEN = 0x03,   /* how often too often, 0, 0: of DMA, as the next */
    TP_DMA_WRITTEN_OUTSIDE = 0x0F,   /* 2 (behind the end), length, beginning */
    TP_DMA_NOT_MAPPED = 0x16,        /* buffer, 0, 0 */
};

/* `tag` of 0: none to name. */
void tp_stop(enum tp_rule rule, uintptr_t p2, uintptr_t p3, uintptr_t p4, const void *address, uint32_t tag)
    __attribute__((noreturn, cold));

/* Not a rule that anyone broke: the process cannot go on.  `what` ends the line. */
void tp_fail(const char *what) __attribute__((noreturn, cold));

#endif
