/*
 * The public API (include/tagpool/tagpool.h) over the engine.
 */
#include <tagpool/tagpool.h>

#include "census.h"
#include "fast.h"
#include "pool.h"
#include "start.h"

#include <errno.h>
#include <string.h>

/* The slow half: check what is given and find the slot; a program that calls this is ready to be looked at. */
static TP_NOINLINE uint32_t open_tag(tagpool_kind_t kind, tagpool_tag_t tag, struct tp_thread **thread)
{
    if (!tp_pool_is_valid(kind, tag))
        return TAGPOOL_SEGMENT_NO_SLOT;
    tp_start_may_publish();
    *thread = tp_thread_self();
    return tp_site_slot_of_tag(*thread, tag, tp_pool_layout(kind));
}

static TP_NOINLINE void *alloc_slow(tagpool_kind_t kind, size_t alignment, size_t size, tagpool_tag_t tag)
{
    struct tp_thread *thread;
    uint32_t slot = open_tag(kind, tag, &thread);
    return slot != TAGPOOL_SEGMENT_NO_SLOT ? tp_alloc(thread, slot, size, alignment) : NULL;
}

void *tagpool_alloc(tagpool_kind_t kind, size_t size, tagpool_tag_t tag)
{
    uint64_t value = tp_site_tag_value(tag, tp_pool_layout(kind));
    void *block = tp_pool_kind_is_known(kind) ? tp_alloc_fast(tp_site_key(TP_KEY_TAG, value), TP_TABLE_POOL, size) : NULL;
    return TP_LIKELY(block != NULL) ? block : alloc_slow(kind, 16, size, tag);
}

void *tagpool_zalloc(tagpool_kind_t kind, size_t size, tagpool_tag_t tag)
{
    struct tp_thread *thread;
    uint32_t slot = open_tag(kind, tag, &thread);
    return slot != TAGPOOL_SEGMENT_NO_SLOT ? tp_alloc_zeroed(thread, slot, size) : NULL;
}

void *tagpool_alloc_aligned(tagpool_kind_t kind, size_t alignment, size_t size, tagpool_tag_t tag)
{
    if (!tp_is_power_of_two(alignment)) {
        errno = EINVAL;
        return NULL;
    }
    return alloc_slow(kind, tp_max(alignment, 16), size, tag);
}

void *tagpool_realloc(void *block, size_t size)
{
    if (block == NULL) {
        errno = EINVAL;
        return NULL;
    }
    struct tp_thread *thread = tp_thread_self();
    struct tp_block_info info = tp_block_look_up(block);
    if (tp_block_resize(&info, size))
        return block;
    void *moved = tp_alloc(thread, info.slot, size, 16);
    if (moved == NULL)
        return NULL;
    memcpy(moved, block, tp_min(size, info.size));
    tp_free(block);
    return moved;
}

void tagpool_free(void *block)
{
    tp_free(block);
}

void tagpool_free_tag(void *block, tagpool_tag_t tag)
{
    if (block == NULL)
        return;
    tp_thread_self();
    struct tp_block_info info = tp_block_look_up(block);
    uint32_t real = tp_tags[info.slot].tag;
    if (info.slot != TAGPOOL_SEGMENT_NO_SLOT && real != tag)
        tp_stop(TP_CALLER_WRONG_TAG, (uintptr_t)block, real, tag, block, real);
    tp_free(block);
}

size_t tagpool_size(const void *block)
{
    return block != NULL ? tp_block_look_up(block).size : 0;
}

tagpool_tag_t tagpool_tag_of(const void *block)
{
    struct tp_block_info info;
    return tp_block_find(block, &info) ? tp_tags[info.slot].tag : 0;
}

tagpool_handle_t tagpool_open(tagpool_kind_t kind, tagpool_tag_t tag)
{
    struct tp_thread *thread;
    return tp_pool_handle(open_tag(kind, tag, &thread));
}

/* The slot of a handle; NULL is what a failed tagpool_open gave. */
static uint32_t open_handle(tagpool_handle_t handle, struct tp_thread **thread)
{
    if (TP_UNLIKELY(handle == NULL)) {
        errno = EINVAL;
        return TAGPOOL_SEGMENT_NO_SLOT;
    }
    *thread = tp_thread_self();
    return tp_site_slot_of_handle(*thread, tp_pool_slot(handle));
}

static TP_NOINLINE void *handle_alloc_slow(tagpool_handle_t handle, size_t size)
{
    struct tp_thread *thread;
    uint32_t slot = open_handle(handle, &thread);
    return slot != TAGPOOL_SEGMENT_NO_SLOT ? tp_alloc(thread, slot, size, 16) : NULL;
}

void *tagpool_handle_alloc(tagpool_handle_t handle, size_t size)
{
    void *block = tp_alloc_fast(tp_site_key(TP_KEY_HANDLE, tp_pool_slot(handle)), TP_TABLE_POOL, size);
    return TP_LIKELY(block != NULL) ? block : handle_alloc_slow(handle, size);
}

void *tagpool_handle_zalloc(tagpool_handle_t handle, size_t size)
{
    struct tp_thread *thread;
    uint32_t slot = open_handle(handle, &thread);
    return slot != TAGPOOL_SEGMENT_NO_SLOT ? tp_alloc_zeroed(thread, slot, size) : NULL;
}

int tagpool_stats(tagpool_kind_t kind, tagpool_tag_t tag, struct tagpool_stats *stats)
{
    struct tp_census_view view;
    struct tp_census_sum sum;
    tp_thread_self(); /* a forked child has accounts of its own from its first call on */
    uint32_t slot = tp_pool_is_valid(kind, tag) ? tp_tag_find(tag, tp_pool_layout(kind)) : TAGPOOL_SEGMENT_NO_SLOT;
    sum.allocs = 0;
    if (slot != TAGPOOL_SEGMENT_NO_SLOT && tp_census_open(&view, tp_segment, tp_segment_size()) == 0)
        tp_census_sum(&view, slot, 1, &sum);
    if (sum.allocs == 0) {
        errno = ENOENT;
        return -1;
    }
    stats->allocs = sum.allocs;
    stats->frees = sum.frees;
    stats->bytes = tp_census_live_bytes(&sum);
    stats->peak_bytes = tp_tag_note_live(slot, stats->bytes);
    return 0;
}
