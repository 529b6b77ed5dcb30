/*
 * Bundles (include/tagpool/bundle.h).
 *
 *     | part 0 | gap | part 1 ............ | gap | part 2 | gap to 16 |
 *
 * B1  A part begins at the next multiple of its alignment from the end of the part before it; part 0 at 0.
 */
#include <tagpool/bundle.h>

#include "base.h"

#include <errno.h>
#include <string.h>

/* B1, from the end of the part before it; what overflows is SIZE_MAX, and stays it. */
static size_t part_offset(const struct tagpool_bundle_part *part, size_t end)
{
    size_t gap = -end & (part->alignment - 1);
    return end < SIZE_MAX - gap ? end + gap : SIZE_MAX;
}

static size_t part_end(const struct tagpool_bundle_part *part, size_t offset)
{
    size_t size, end;
    if (__builtin_mul_overflow(part->size, part->count, &size) || __builtin_add_overflow(offset, size, &end))
        return SIZE_MAX;
    return end;
}

static bool bundle_is_valid(const struct tagpool_bundle_part *parts, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!tp_is_power_of_two(parts[i].alignment))
            return false;
    return count > 0;
}

static size_t bundle_end(const struct tagpool_bundle_part *parts, size_t count)
{
    size_t end = 0;
    for (size_t i = 0; i < count; i++)
        end = part_end(&parts[i], part_offset(&parts[i], end));
    return end;
}

size_t tagpool_bundle_size(const struct tagpool_bundle_part *parts, size_t count, size_t *alignment)
{
    if (!bundle_is_valid(parts, count)) {
        errno = EINVAL;
        return 0;
    }
    size_t end = bundle_end(parts, count);
    if (end > SIZE_MAX - 15) {
        errno = ENOMEM;
        return 0;
    }
    size_t most = 16;
    for (size_t i = 0; i < count; i++)
        most = tp_max(most, parts[i].alignment);
    if (alignment != NULL)
        *alignment = most;
    return tp_round_up(tp_max(end, 1), 16);
}

/* A place is a pointer of whatever type, so its bytes are written. */
void tagpool_bundle_place(const struct tagpool_bundle_part *parts, size_t count, void *block)
{
    size_t end = 0;
    for (size_t i = 0; i < count; i++) {
        size_t offset = part_offset(&parts[i], end);
        void *at = (char *)block + offset;
        if (parts[i].place != NULL)
            memcpy(parts[i].place, &at, sizeof(at));
        end = part_end(&parts[i], offset);
    }
}

static void *bundle_placed(const struct tagpool_bundle_part *parts, size_t count, void *block)
{
    if (block != NULL)
        tagpool_bundle_place(parts, count, block);
    return block;
}

void *tagpool_bundle_alloc(tagpool_kind_t kind, tagpool_tag_t tag, const struct tagpool_bundle_part *parts,
                           size_t count)
{
    size_t alignment;
    size_t size = tagpool_bundle_size(parts, count, &alignment);
    if (size == 0)
        return NULL;
    void *block = alignment > 16 ? tagpool_alloc_aligned(kind, alignment, size, tag) : tagpool_alloc(kind, size, tag);
    return bundle_placed(parts, count, block);
}

void *tagpool_scope_bundle(tagpool_scope_t *scope, tagpool_kind_t kind, tagpool_tag_t tag,
                           const struct tagpool_bundle_part *parts, size_t count)
{
    size_t alignment;
    size_t size = tagpool_bundle_size(parts, count, &alignment);
    if (size == 0)
        return NULL;
    void *block = alignment > 16 ? tagpool_scope_alloc_aligned(scope, kind, alignment, size, tag)
                                 : tagpool_scope_alloc(scope, kind, size, tag);
    return bundle_placed(parts, count, block);
}
