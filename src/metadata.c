#include "metadata.h"
#include "lock.h"
#include "segment.h"
#include "space.h"

#include <string.h>

#define METADATA_SHIFT_MIN 6
#define METADATA_SHIFT_MAX 40

struct metadata_free {
    struct metadata_free *next;
};

static struct metadata_free *metadata_lists[METADATA_SHIFT_MAX];
static size_t metadata_used;

static unsigned metadata_shift(size_t size)
{
    unsigned shift = METADATA_SHIFT_MIN;
    while (((size_t)1 << shift) < size)
        shift++;
    return shift;
}

static void *metadata_carve(unsigned shift)
{
    size_t size = (size_t)1 << shift;
    if (tp_area_grow(TP_AREA_METADATA, metadata_used + size) != 0)
        return NULL;
    void *p = tp_areas[TP_AREA_METADATA].base + metadata_used;
    metadata_used += size;
    __atomic_fetch_add(&tp_segment->metadata_bytes, size, __ATOMIC_RELAXED);
    return p;
}

void *tp_metadata_alloc(size_t size)
{
    unsigned shift = metadata_shift(size);
    tp_lock(TP_LOCK_METADATA);
    struct metadata_free *p = metadata_lists[shift];
    if (p != NULL)
        metadata_lists[shift] = p->next;
    void *fresh = p == NULL ? metadata_carve(shift) : NULL;
    tp_unlock(TP_LOCK_METADATA);
    return p != NULL ? memset(p, 0, size) : fresh;
}

void tp_metadata_free(void *p, size_t size)
{
    struct metadata_free *entry = p;
    unsigned shift = metadata_shift(size);
    tp_lock(TP_LOCK_METADATA);
    entry->next = metadata_lists[shift];
    metadata_lists[shift] = entry;
    tp_unlock(TP_LOCK_METADATA);
}

void tp_metadata_reset(void)
{
    memset(metadata_lists, 0, sizeof(metadata_lists));
}
