/*
 * The address space of the engine: one reservation, cut into areas that grow behind watermarks.
 *
 *   | owners | pages | gates | threads | metadata | paged pool ............ | nonpaged pool ...... |
 *
 * `owners` and `pages` hold one entry for each unit of the two pools, so they are committed in step with the pools.
 *
 * A1  Committed memory of an area is one range from its base: few mappings, whatever the size of the heap.
 * A2  unit = (address - pool base) >> 16 is below unit_count exactly for addresses of the two pools.
 */
#ifndef TP_SPACE_H
#define TP_SPACE_H

#include "base.h"
#include "os.h"

struct tp_page;
struct tagpool_segment_row;

/* What the fast paths read on each call; never written after start. */
struct tp_space {
    uintptr_t base;       /* first address of unit 0 */
    size_t unit_count;    /* units of both pools */
    uint64_t *owners;     /* who may free blocks of a unit without asking: see page.h */
    struct tp_page *pages;
    struct tagpool_segment_row *rows; /* shared counters, one row a unit */
    uintptr_t row_bias;               /* a page's row: its descriptor's address / 2 + this */
};
extern TP_HIDDEN struct tp_space tp_space;

/* A part of the reservation.  Grows only; committed is guarded by the lock of whoever owns the area. */
struct tp_area {
    char *base;
    size_t size;
    size_t committed;
};

enum tp_area_id {
    TP_AREA_OWNERS_PAGED,
    TP_AREA_OWNERS_NONPAGED,
    TP_AREA_PAGES_PAGED,
    TP_AREA_PAGES_NONPAGED,
    TP_AREA_GATES,
    TP_AREA_THREADS,
    TP_AREA_METADATA,
    TP_AREA_POOL_PAGED,
    TP_AREA_POOL_NONPAGED,
    TP_AREA_COUNT,
};
extern struct tp_area tp_areas[TP_AREA_COUNT];

/* Number of thread records there is room for, and the sizes of one. */
#define TP_GATE_STRIDE (64 * TP_KIB)
#define TP_THREAD_STRIDE (512 * TP_KIB)
extern size_t tp_space_threads;
extern enum tp_backing tp_space_backing;

/*
 * Reserve the address space, as much as the machine and RLIMIT_AS allow.  0, or a negative errno when there is not
 * even a little.
 */
int tp_space_init(enum tp_backing backing);

/* Have at least `size` bytes of an area committed; 0 or a negative errno, and then nothing changed. */
int tp_area_grow(enum tp_area_id id, size_t size);

TP_INLINE bool tp_area_contains(enum tp_area_id id, const void *p)
{
    return (uintptr_t)p - (uintptr_t)tp_areas[id].base < tp_areas[id].size;
}

TP_INLINE size_t tp_unit_of(const void *p)
{
    return ((uintptr_t)p - tp_space.base) >> TP_UNIT_SHIFT;
}

TP_INLINE char *tp_unit_address(size_t unit)
{
    return (char *)tp_space.base + (unit << TP_UNIT_SHIFT);
}

#endif
