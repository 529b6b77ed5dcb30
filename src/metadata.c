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

/* The header's number, for a forked child: its parent's header goes on changing. */
static size_t metadata_bytes;

void tp_metadata_count(size_t bytes)
{
    __atomic_fetch_add(&metadata_bytes, bytes, __ATOMIC_RELAXED);
    __atomic_fetch_add(&tp_segment->metadata_bytes, bytes, __ATOMIC_RELAXED);
}

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
    tp_metadata_count(size);
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

size_t tp_metadata_bytes(void)
{
    return tp_peek(&metadata_bytes);
}

void tp_metadata_reset(void)
{
    memset(metadata_lists, 0, sizeof(metadata_lists));
}
