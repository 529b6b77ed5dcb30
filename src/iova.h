/*
 * I/O virtual addresses: numbers for devices, given out first fit and no two at a time.
 *
 *   0    0x1000                                              2^48
 *   | -- | range | free | range | range | free ............. |     a list by address; a range lies in what it is for
 *
 * V1  Ranges are whole OS pages within [TP_IOVA_FIRST, TP_IOVA_END), sorted, and do not overlap.
 * V2  The list is whole after each store to it, so a child of a raw clone can go on with it.
 *
 * Lock: TP_LOCK_IOVA.
 */
#ifndef TP_IOVA_H
#define TP_IOVA_H

#include "base.h"

/* Never 0; and what IOMMUs of the last ten years take. */
#define TP_IOVA_FIRST UINT64_C(0x1000)
#define TP_IOVA_END (UINT64_C(1) << 48)

struct tp_iova {
    uint64_t base;
    uint64_t size;
    struct tp_iova *next;
};

/*
 * Take the lowest free range of `size` bytes, whole OS pages, none of them below minimum or above maximum.  The
 * range belongs to the list until it is given back.  False: there is none.
 */
bool tp_iova_take(struct tp_iova *range, uint64_t size, uint64_t minimum, uint64_t maximum);
void tp_iova_give(struct tp_iova *range);

#endif
