/*
 * Views of a snapshot.  The table is made as a page of lines, which text output prints and the screen paints; JSON,
 * CSV and the original's snapshot file are written straight to a stream.
 */
#ifndef VIEW_H
#define VIEW_H

#include "host.h"
#include "selection.h"

#include <stdio.h>

enum view_layout { LAYOUT_DEFAULT, LAYOUT_CLASSIC };

struct view_options {
    enum view_layout layout;
    struct selection selection;
    bool totals;
    bool no_highlight;
    size_t columns; /* of the terminal; 0: as wide as need be */
};

enum view_style {
    VIEW_PLAIN,
    VIEW_TITLE,   /* which process it is */
    VIEW_HEAD,    /* names of columns */
    VIEW_CHANGED, /* a row that differs from the snapshot before */
};

struct view_line {
    enum view_style style;
    char *text;
};

struct view_page {
    struct view_line *lines;
    size_t count;
};

/* Append the table of every process to an empty page. */
void view_table(struct view_page *page, const struct snapshot *snapshot, const struct host *host,
                const struct view_options *options);
void view_page_add(struct view_page *page, enum view_style style, char *text); /* takes text over */
void view_page_print(const struct view_page *page, FILE *out);
void view_page_free(struct view_page *page);

void view_json(FILE *out, const struct snapshot *snapshot, const struct view_options *options);
void view_csv(FILE *out, const struct snapshot *snapshot, const struct view_options *options);

/* The form of poolmon -n. */
void view_file(FILE *out, const struct snapshot *snapshot, const struct host *host,
               const struct view_options *options);

#endif
