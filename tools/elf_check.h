/*
 * Can a program be run with its malloc replaced?  Found out before anything is executed, so that it is never run by
 * half: with LD_PRELOAD ignored, or refused by the loader after the program was promised.
 */
#ifndef ELF_CHECK_H
#define ELF_CHECK_H

#include <limits.h>
#include <stddef.h>

/* Room for a sentence about a path. */
#define ELF_CHECK_TEXT (2 * PATH_MAX + 256)

/*
 * Find `program` as execvp would: a path when it has a slash, else in $PATH.  0 with its path in `path`; else 126 or
 * 127 with a sentence in `why`.
 */
int elf_check_find(const char *program, char path[PATH_MAX], char why[ELF_CHECK_TEXT]);

/*
 * 0 when the file is a dynamically linked program for this machine and C library that takes LD_PRELOAD from us, or a
 * script whose interpreter is one; else 126 or 127 with a sentence in `why`.
 */
int elf_check_program(const char *path, char why[ELF_CHECK_TEXT]);

#endif
