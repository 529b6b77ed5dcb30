/*
 * Files with symbols and debug information, opened at most once and kept open.
 *
 * Debug information may lie in a file of its own: beside the file, or below /usr/lib/debug, by link or by build ID.
 */
#ifndef SYMFILE_H
#define SYMFILE_H

#include <elfutils/libdwfl.h>
#include <gelf.h>
#include <stdint.h>
#include <sys/types.h>

/* module is NULL when the file has no symbols that we can read. */
struct symfile {
    dev_t device;
    ino_t inode;
    Dwfl *session;
    Dwfl_Module *module;
    uint64_t bias; /* from the file's own addresses to those of libdwfl */
};

/* The file behind a path; NULL when there is none. */
struct symfile *symfile_find(const char *path);

/* A C++ name for people, in memory of the caller's; NULL for other names, and where no C++ library is there to ask. */
char *symfile_demangle(const char *name);

#endif
