/*
 * Settings that are kept for programs: $XDG_CONFIG_HOME/tagpool/settings, or ~/.config/tagpool/settings.
 *
 *   # a comment
 *   sqlite3: special=all tags=Conn
 *   *: track
 *
 * Programs read it when they start (src/kept.h).  Here it is read line by line with care, and changed whole: a new file
 * takes its place, with all lines that are no settings, or not understood, as they were.
 *
 * L1  It is a regular file of our user's, not a link, and ours alone to read when we write it.
 * L2  One tool at a time changes it: the directory is locked (flock) from reading to writing.
 */
#ifndef KEPTFILE_H
#define KEPTFILE_H

#include "words.h"

/* What is beyond that the program does not read. */
#define KEPTFILE_SIZE ((size_t)16 << 10)

struct keptfile_line {
    char *text;    /* all of it, without its end */
    char *program; /* a pattern; NULL: no setting, or one that is not understood */
    const char *words;
};

struct keptfile {
    char *path;
    int directory; /* -1: there is none */
    struct keptfile_line *lines;
    size_t count;
};

/*
 * Read it: 0, or a status after a sentence.  A file that is not there is empty.  Lines that are not understood are told
 * of, one sentence each.  keptfile_close frees it, either way.
 */
int keptfile_open(struct keptfile *file);

/* The same, to be changed: its directory is made, and locked until it is closed. */
int keptfile_open_to_change(struct keptfile *file);
void keptfile_close(struct keptfile *file);

/* What is kept for a program, or pattern, by exactly this name.  False: nothing. */
bool keptfile_get(const struct keptfile *file, const char *program, struct words *words);

/* The words of all lines that fit a program's name, one after the other, in memory of the caller's; NULL: none. */
char *keptfile_text(const struct keptfile *file, const char *name);

/* What lines are for, each name once and in their order, n counted from 0; NULL: there are no more. */
const char *keptfile_program(const struct keptfile *file, size_t n);

/* Whether a name can stand in the file. */
bool keptfile_is_program(const char *name);

/* Put words in the place of what was kept for a program; of nothing: take its lines away. */
void keptfile_put(struct keptfile *file, const char *program, const struct words *words);

/* Write it: 0, or a status after a sentence. */
int keptfile_write(const struct keptfile *file);

#endif
