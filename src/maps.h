/*
 * Maps: the lines of /proc/PID/maps, one after the other, whatever their length.
 */
#ifndef TP_MAPS_H
#define TP_MAPS_H

#include "image.h"

struct tp_mapping {
    uintptr_t from;
    uintptr_t to;
    bool is_readable;
    bool is_writable;
    bool is_private;
    bool is_stack; /* of the process's first thread */
};

/* Zeros before the first line, but for the image. */
struct tp_maps {
    struct tp_image *image;
    size_t at;
    size_t end;
    int error; /* a negative errno: the lines ended by it */
    char buffer[4096];
};

/* The next line; false: there are no more. */
bool tp_maps_next(struct tp_maps *maps, struct tp_mapping *mapping);

#endif
