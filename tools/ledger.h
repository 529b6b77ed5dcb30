/*
 * The ledger: what came of each call stack of a program that was made to fail, kept in a file from one day to the next.
 *
 *   tagpool-systematic 1
 *   program PATH SIZE MTIME
 *   command ARGUMENT...
 *   stack NUMBER HASH VERDICT DETAIL SIZE TAG PROGRAM CHAIN CRASH-CHAIN
 *   ...
 *
 * Words are escaped (escape.h).  Stacks are numbered from 1 in the order of their lines.
 *
 * D1  A line is written at once and never changed: whatever ends us leaves whole lines, and at most one without an end,
 *     which is cut off when the file is opened again.
 * D2  Offsets mean something in one build of the program alone: with another, the ledger is begun anew.  What belongs
 *     to another command is not touched.
 * D3  One at a time has the file to write.
 */
#ifndef LEDGER_H
#define LEDGER_H

#include "chain.h"
#include "verdict.h"

struct ledger_entry {
    uint32_t number;
    uint64_t hash;
    enum verdict verdict;
    unsigned long detail; /* as verdict_text has it */
    uint64_t size;        /* of the request */
    uint32_t tag;
    char *program; /* whose request it was */
    struct chain chain;
    struct chain crash; /* where it crashed or was stopped, as far as that is known */
};

struct ledger {
    char *path;
    int fd;
    bool is_anew; /* there was one, of another build */
    struct ledger_entry *entries;
    size_t count;
};

/*
 * Where the ledger of a command that is looked at with these options is when nobody says otherwise, in memory of the
 * caller's; NULL: there is no home.
 */
char *ledger_default_path(const char *program, char **argv, const char *given);

/*
 * Open the ledger at a path, which is the ledger's from then on: 0, or a status after a sentence.  To write,
 * directories and file are made where they are missing; to read, any command's will do.
 */
int ledger_open(struct ledger *ledger, char *path, const char *program, char **argv, bool to_write);

/* Write an entry down, with the next number; what it holds is the ledger's.  0 or -errno. */
int ledger_add(struct ledger *ledger, struct ledger_entry entry);

const struct ledger_entry *ledger_find(const struct ledger *ledger, uint32_t number);

void ledger_free(struct ledger *ledger);

#endif
