/*
 * Call stacks for people: "#0 fill  src/conn.c:88".
 */
#ifndef STACK_TEXT_H
#define STACK_TEXT_H

#include "reportfile.h"

#include <stdio.h>

/*
 * One line a function, innermost first, from `main` outwards nothing.  Files below the working directory are named from
 * there.
 */
void stack_text_put(FILE *out, const struct reportfile_record *record, const struct reportfile_stack *stack);

/* The same in one line, of the innermost few functions: "fill (src/conn.c:88) < main (src/conn.c:120)". */
void stack_text_put_short(FILE *out, const struct reportfile_record *record, const struct reportfile_stack *stack);

#endif
