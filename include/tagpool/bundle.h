/*
 * Bundles: structures that are used together, laid out in one block.
 *
 *     struct packet *packet;
 *     char *payload;
 *     const struct tagpool_bundle_part parts[] = {TAGPOOL_PART(packet, 1), TAGPOOL_PART(payload, length)};
 *     if (tagpool_bundle_alloc(TAGPOOL_PAGED, TAGPOOL_TAG('P', 'a', 'c', 'k'), parts, 2) != NULL)
 *         ...
 *     tagpool_free(packet);
 *
 * Parts lie in the order given, the first at the block's beginning, each at the next multiple of its alignment.  So the
 * pointer of the first part is the block, and freeing it frees all.
 *
 * These functions keep nothing: any number of threads may call them at once, with parts of their own.  Those that do
 * not allocate, tagpool_bundle_size and tagpool_bundle_place, are async-signal-safe.
 */
#ifndef TAGPOOL_BUNDLE_H
#define TAGPOOL_BUNDLE_H

#include <tagpool/scope.h>
#include <tagpool/tagpool.h>

#ifdef __cplusplus
extern "C" {
#endif

/* `count` elements of `size` bytes each; none is fine, and then the pointer is not to be used. */
struct tagpool_bundle_part {
    size_t size;
    size_t count;
    size_t alignment; /* a power of two */
    void *place;      /* address of the pointer, of any type, that is to point to the part; NULL: there is none */
};

/* The part that `pointer`, a variable, is to point to: so many of what it points to, aligned as its type wants. */
#define TAGPOOL_PART(pointer, elements)                                                                                \
    {                                                                                                                  \
        sizeof(*(pointer)), (elements), __alignof__(__typeof__(*(pointer))), &(pointer)                                \
    }

/*
 * Bytes of a block for the bundle, a multiple of 16 and never 0.  *alignment, unless NULL, is what the block must be
 * aligned to: 16, or more where a part wants more.
 *
 * Returns 0 with errno EINVAL when count is 0 or an alignment no power of two; 0 with errno ENOMEM when no memory could
 * hold so much.
 */
TAGPOOL_API size_t tagpool_bundle_size(const struct tagpool_bundle_part *parts, size_t count, size_t *alignment);

/*
 * Point all places into a block that is long enough and aligned, wherever it comes from: a lookaside list of that size,
 * a mapping.  The parts must be such that tagpool_bundle_size takes them.
 */
TAGPOOL_API void tagpool_bundle_place(const struct tagpool_bundle_part *parts, size_t count, void *block);

/*
 * Allocate one block for all parts and point their places into it; contents undefined.  Returns the block.
 *
 * NULL with errno as tagpool_bundle_size or tagpool_alloc sets it; then no place has changed.
 */
TAGPOOL_API void *tagpool_bundle_alloc(tagpool_kind_t kind, tagpool_tag_t tag, const struct tagpool_bundle_part *parts,
                                       size_t count);

/* As tagpool_bundle_alloc, from a scope: freed with it, and not singly. */
TAGPOOL_API void *tagpool_scope_bundle(tagpool_scope_t *scope, tagpool_kind_t kind, tagpool_tag_t tag,
                                       const struct tagpool_bundle_part *parts, size_t count);

#ifdef __cplusplus
}
#endif

#endif
