/*
 * Names for calling addresses: "libfoo.so.1+0x1234" becomes "parse_line+0x1c (parse.c:87)".
 *
 * The module is what the dynamic loader called it, often a link to the file that is mapped; the offset counts from
 * its load address, so it is an address as the file's own tables have it.  It is a return address: the place is looked
 * up one byte before it, which belongs to the call.
 *
 * Files are read as the process sees them (through /proc/PID/root) and kept open for all later questions.
 */
#ifndef SYMBOL_H
#define SYMBOL_H

#include <sys/types.h>

struct symbol_process;

/* Cheap: nothing is read before the first question.  Sites in the executable have `program` for a module. */
struct symbol_process *symbol_open(pid_t pid, const char *program);
void symbol_close(struct symbol_process *process);

/* A printable name in memory of the caller's, or NULL when nothing better than `site` itself is known. */
char *symbol_name(struct symbol_process *process, const char *site);

#endif
