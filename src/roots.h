/*
 * Roots: where a program keeps pointers without being asked for memory by our name.
 *
 *   mappings   every readable private one that is not the engine's: data of the program and its libraries, stacks and
 *              thread-local storage of all threads, memory of other allocators.  Of the first thread's stack, what is
 *              below the stack pointer is left out.
 *   words      registers
 *   holdings   what the engine itself holds for the program: blocks in lookaside lists (of their stores and magazines
 *              what is in them now), buffers behind handles
 *
 * The pages of a mapping that the process never wrote to are passed over where the system tells which these are, and
 * mappings that it cannot write to count with those that it could once (data that was made read-only); where the system
 * does not tell, writable mappings count as a whole.
 *
 * Memory that processes share holds no roots: an address means nothing to the others.
 */
#ifndef TP_ROOTS_H
#define TP_ROOTS_H

#include "mark.h"

struct tp_roots {
    const uintptr_t *words;
    size_t word_count;
    const uintptr_t *stacks; /* stack pointers, as far as they are known */
    size_t stack_count;
    size_t red_zone; /* bytes below them that are in use */
};

/* What is reached from all roots: marked.  0, or a negative errno: the mappings are not known. */
int tp_roots_mark(struct tp_mark *mark, const struct tp_roots *roots);

#endif
