/*
 * Images: the memory of a process as a scan reads it, this process's or another's.
 *
 * What stands there may be damaged, or in the middle of a change: who reads an image checks what it has read.
 */
#ifndef TP_IMAGE_H
#define TP_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tp_image_range {
    uintptr_t at;
    size_t size;
};

/* Ranges that are read at once, at most. */
#define TP_IMAGE_RANGES 64u

/* Entries of /proc/PID/pagemap, as Documentation/admin-guide/mm/pagemap.rst has them. */
#define TP_IMAGE_PAGE_PRESENT (UINT64_C(1) << 63)
#define TP_IMAGE_PAGE_SWAPPED (UINT64_C(1) << 62)
#define TP_IMAGE_PAGE_OF_FILE (UINT64_C(1) << 61) /* or shared */

/* Whoever makes one puts its own fields behind these. */
struct tp_image {
    /* Copy ranges to `to`, one behind the other; false: not all of them can be read. */
    bool (*read)(struct tp_image *image, const struct tp_image_range *ranges, unsigned count, void *to);

    /* The entries of `count` OS pages; false: the system keeps them to itself. */
    bool (*pages)(struct tp_image *image, uintptr_t at, size_t count, uint64_t *entries);

    /* The next bytes of /proc/PID/maps: their number, 0 at the end, or a negative errno. */
    int (*maps)(struct tp_image *image, char *to, size_t size);

    /* Zero-filled memory to work with, which is not of the image, for as long as the scan takes; NULL: there is none.
     */
    void *(*memory)(struct tp_image *image, size_t size);
};

/* One range. */
static inline bool tp_image_get(struct tp_image *image, uintptr_t at, void *to, size_t size)
{
    const struct tp_image_range range = {at, size};
    return image->read(image, &range, 1, to);
}

#endif
