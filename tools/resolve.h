/*
 * Where in the source an address of a library lies: function, file and line, and the same for the functions that it was
 * inlined into.  As far as the library's file tells: it may be stripped, replaced or gone.
 */
#ifndef RESOLVE_H
#define RESOLVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RESOLVE_INLINED 16 /* deeper ones are left out */

struct resolve_level {
    char *function;  /* demangled, or NULL */
    uint64_t within; /* distance from the beginning of the function; 0 of inlined ones */
    char *file;      /* or NULL */
    int line;
    bool is_inlined; /* into the next level */
};

/* Innermost first; at least one level, which may know nothing. */
struct resolve_place {
    struct resolve_level levels[RESOLVE_INLINED];
    size_t count;
};

/* `offset` counts from the load address.  A return address is looked up one byte before it, which belongs to the call.
 */
void resolve_find(const char *path, uint64_t offset, bool is_exact, struct resolve_place *place);
void resolve_free(struct resolve_place *place);

#endif
