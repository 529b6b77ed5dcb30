/*
 * Kinds, tags and handles as the API names them, in terms of the engine.  All faces of the API begin here.
 */
#ifndef TP_POOL_H
#define TP_POOL_H

#include "tag.h"

#include <tagpool/tagpool.h>

#include <errno.h>

/* A handle is its slot, in a pointer. */
static inline tagpool_handle_t tp_pool_handle(uint32_t slot)
{
    return (tagpool_handle_t)(uintptr_t)slot;
}

static inline uint32_t tp_pool_slot(tagpool_handle_t handle)
{
    return (uint32_t)(uintptr_t)handle;
}

static inline enum tp_layout tp_pool_layout(tagpool_kind_t kind)
{
    return kind == TAGPOOL_NONPAGED ? TP_LAYOUT_NONPAGED : TP_LAYOUT_PAGED;
}

static inline bool tp_pool_kind_is_known(tagpool_kind_t kind)
{
    return kind == TAGPOOL_NONPAGED || kind == TAGPOOL_PAGED;
}

/* Windows' rule for tags: one to four characters, each 0x20 to 0x7e; all four are there in memory order here. */
static inline bool tp_pool_tag_is_valid(tagpool_tag_t tag)
{
    for (int i = 0; i < 4; i++) {
        unsigned char c = (unsigned char)(tag >> 8 * i);
        if (c < 0x20 || c > 0x7e)
            return false;
    }
    return true;
}

/* False: errno is EINVAL. */
static inline bool tp_pool_is_valid(tagpool_kind_t kind, tagpool_tag_t tag)
{
    if (TP_LIKELY(tp_pool_kind_is_known(kind) && tp_pool_tag_is_valid(tag)))
        return true;
    errno = EINVAL;
    return false;
}

#endif
