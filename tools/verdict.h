/*
 * Verdicts: what became of a program when one of its requests for memory failed.
 */
#ifndef VERDICT_H
#define VERDICT_H

#include <stdbool.h>

/* The worse, the later. */
enum verdict {
    VERDICT_THROUGH,
    VERDICT_ALTERED,
    VERDICT_FAILED,
    VERDICT_LEAKED,
    VERDICT_ABORTED,
    VERDICT_VANISHED,
    VERDICT_HUNG,
    VERDICT_CRASHED,
    VERDICT_STOPPED,
    VERDICTS,
};

/* A word, the same in files and for people; what it means, for a table. */
const char *verdict_word(enum verdict verdict);
const char *verdict_meaning(enum verdict verdict);

/* VERDICTS: there is no such word. */
enum verdict verdict_named(const char *word);

/* Something that no program should do, whatever memory it lacks. */
static inline bool verdict_is_bad(enum verdict verdict)
{
    return verdict >= VERDICT_LEAKED;
}

/*
 * Text for people in memory of the caller's: "crashed by SIGSEGV", "failed with status 1".  `detail` is the signal, the
 * status, the code of the stop or the number of blocks that are lost, as the verdict has it.
 */
char *verdict_text(enum verdict verdict, unsigned long detail);

#endif
