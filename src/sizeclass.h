/*
 * Size classes: which block size serves a request.
 *
 * Two tables.  `packed` (the malloc family): 16-byte steps to 128, eight steps a doubling to 1 KiB, four a doubling
 * to 128 KiB; blocks lie end to end.  `pool` (the pool routines): below an OS page the sizes divide it, so that no
 * block straddles one; from an OS page on they are whole pages.
 *
 * C1  Class sizes grow strictly; all are multiples of 16.
 * C2  tp_class_of(t, n) is the smallest class with size >= n rounded up to a lookup step, for n <= TP_CLASS_MAX_SIZE.
 * C3  Both tables hold each power of two from 16 to TP_CLASS_MAX_SIZE.
 */
#ifndef TP_SIZECLASS_H
#define TP_SIZECLASS_H

#include "base.h"

#define TP_CLASS_MAX_SIZE (128 * TP_KIB)
#define TP_CLASS_LIMIT 64

/* Requests up to SMALL are looked up in steps of 16 bytes, the rest in steps of 256. */
#define TP_CLASS_SMALL 1024
#define TP_CLASS_SMALL_STEPS (TP_CLASS_SMALL / 16 + 1)
#define TP_CLASS_MEDIUM_STEPS (TP_CLASS_MAX_SIZE / 256 + 1)

/* offset / size == offset * reciprocal >> SHIFT: exact while offset * size < 2^SHIFT, and a page is at most 2^19
 * bytes and a block 2^17. */
#define TP_CLASS_SHIFT 40

enum tp_table_id { TP_TABLE_PACKED, TP_TABLE_POOL, TP_TABLE_COUNT };

struct tp_class_table {
    uint8_t small[TP_CLASS_SMALL_STEPS];
    uint8_t medium[TP_CLASS_MEDIUM_STEPS];
    uint8_t count;
    uint32_t size[TP_CLASS_LIMIT];
    uint64_t reciprocal[TP_CLASS_LIMIT]; /* ceil(2^TP_CLASS_SHIFT / size) */
};
extern TP_HIDDEN struct tp_class_table tp_class_tables[TP_TABLE_COUNT];

void tp_sizeclass_init(void);

TP_INLINE unsigned tp_class_of(const struct tp_class_table *table, size_t size)
{
    if (TP_LIKELY(size <= TP_CLASS_SMALL))
        return table->small[(size + 15) >> 4];
    return table->medium[(size + 255) >> 8];
}

/* The smallest class of at least `size` whose blocks are all aligned; TP_CLASS_LIMIT when there is none. */
unsigned tp_class_of_aligned(const struct tp_class_table *table, size_t size, size_t alignment);

/* Units of a page of this block size: one to eight, so that even the largest class has four blocks. */
unsigned tp_class_units(size_t block_size);

#endif
