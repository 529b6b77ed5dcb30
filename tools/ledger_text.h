/*
 * What a ledger says, for people: a line as a stack's verdict comes, and a summary of all.
 */
#ifndef LEDGER_TEXT_H
#define LEDGER_TEXT_H

#include "ledger.h"

#include <stdio.h>

/* "#17 crashed by SIGSEGV in parse (x.c:12): 40 bytes, tag Conn, failed at grow (x.c:3) < parse (x.c:10)". */
void ledger_text_line(FILE *out, const struct ledger_entry *entry);

/* The same with whole stacks, in some lines. */
void ledger_text_entry(FILE *out, const struct ledger_entry *entry);

/* Counts by verdict, then all that is bad, what ends in the same place together, with the command that runs it again.
 */
void ledger_text_summary(FILE *out, const struct ledger *ledger, const char *options, char **argv);

#endif
