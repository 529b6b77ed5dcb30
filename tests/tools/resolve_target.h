/*
 * A library to look places up in: each function tells where a call in it lies, and on which lines.
 */
#ifndef RESOLVE_TARGET_H
#define RESOLVE_TARGET_H

#include <stdint.h>

struct target_place {
    uintptr_t address; /* return address of a call */
    int line;          /* that the call stands on */
    int outer_line;    /* of the call of the function that was inlined, or 0 */
};

typedef struct target_place target_function(void);

target_function target_plain, target_with_inlined, target_of_static;

/* Named as C++ would name pool::fill(int). */
target_function target_cpp __asm__("_ZN4pool4fillEi");

#endif
