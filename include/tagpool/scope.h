/*
 * Scopes: blocks that are freed together, because they live as long as something does: a request, a connection.
 *
 * A scope gives out blocks of any tags and of both kinds; none of them is freed singly.  Small ones are cut from
 * chunks, one row of chunks for each kind and tag of the scope.  A chunk is a block of that tag, and what is counted is
 * chunks: tagpool_stats and `tagpool top` show what a scope holds from the pool, exactly, but not how much of it was
 * given out.
 *
 * Lengths of chunks are powers of two.  The first one of a row has 1 KiB, or what its first request needs; each further
 * one is as long as all that the row had before, up to 64 KiB.  A request that the row's newest chunk has no room for
 * gets the next one, or a block of its own if it is longer than 16 KiB or aligned to an OS page or more.
 *
 * The scope itself, and what it notes of cleanups and of whole blocks, lies in paged blocks under TAGPOOL_SCOPE_TAG.
 *
 * What a scope holds that has an order, cleanups and child scopes, ends in the reverse order of its creation.  Memory
 * goes after all of it, so a cleanup may use every block of its scope and of the scopes around it.  (Objects of the
 * Windows Driver Framework end with their parent too, all children before the parent's cleanup.)
 *
 * A cleanup may allocate from its scope and from the scopes around it, and may make cleanups and children there.  In a
 * scope that is being reset or destroyed these end next, before all that is older, and what was allocated goes with the
 * rest.  A cleanup must not reset or destroy its own scope or one around it.
 *
 * A scope is used by one thread at a time, different scopes by different threads at once.  Making and ending a child
 * uses its parent as well; other calls for a child do not.  Nothing here is async-signal-safe.  In a child process made
 * by fork a scope goes on as any block does, and its cleanups are there twice, once in each process.
 */
#ifndef TAGPOOL_SCOPE_H
#define TAGPOOL_SCOPE_H

#include <tagpool/tagpool.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Where scopes are counted themselves: 512 bytes each, more with many cleanups or whole blocks. */
#define TAGPOOL_SCOPE_TAG TAGPOOL_TAG('S', 'c', 'o', 'p')

typedef struct tagpool_scope tagpool_scope_t;

/*
 * Make a scope.  With a parent it ends when that is destroyed or reset, if it has not ended before; NULL: it has none.
 * Returns NULL with errno ENOMEM when memory is exhausted.
 */
TAGPOOL_API tagpool_scope_t *tagpool_scope_create(tagpool_scope_t *parent);

/* End a scope: cleanups, children, then all memory.  NULL does nothing.  Keeps errno, unless a cleanup changes it. */
TAGPOOL_API void tagpool_scope_destroy(tagpool_scope_t *scope);

/*
 * As tagpool_scope_destroy, but the scope stays, empty.  Of each row of chunks that served a request since the last
 * reset the newest chunk stays too; so a scope that is filled again and again with what one chunk can hold comes to
 * need no pool.  Never fails.
 */
TAGPOOL_API void tagpool_scope_reset(tagpool_scope_t *scope);

/*
 * A block of at least `size` bytes, aligned to 16; contents undefined.  A size of 0 gives the smallest block.  It may
 * straddle OS pages whatever its size.  It is not a block of the pool: tagpool_free, tagpool_realloc, tagpool_size and
 * tagpool_tag_of do not know it.
 *
 * Errors as of tagpool_alloc: NULL with errno ENOMEM or EINVAL, and the scope is as it was.
 */
TAGPOOL_API void *tagpool_scope_alloc(tagpool_scope_t *scope, tagpool_kind_t kind, size_t size, tagpool_tag_t tag)
    __attribute__((malloc));

/* As tagpool_scope_alloc, and the `size` bytes are zero. */
TAGPOOL_API void *tagpool_scope_zalloc(tagpool_scope_t *scope, tagpool_kind_t kind, size_t size, tagpool_tag_t tag)
    __attribute__((malloc));

/* As tagpool_scope_alloc, at a multiple of `alignment`, a power of two (else NULL with errno EINVAL). */
TAGPOOL_API void *tagpool_scope_alloc_aligned(tagpool_scope_t *scope, tagpool_kind_t kind, size_t alignment,
                                              size_t size, tagpool_tag_t tag) __attribute__((malloc));

/*
 * Give a block of tagpool_alloc or a kindred function to the scope, to be freed with it.  From then on it is neither
 * freed nor resized by anybody else, nor given to a scope again.
 *
 * Returns 0, or -1 with errno EINVAL when no block begins there (NULL too) or ENOMEM; then it is still the caller's.
 */
TAGPOOL_API int tagpool_scope_adopt(tagpool_scope_t *scope, void *block);

/*
 * Have routine(argument) called when the scope is destroyed or reset, once.
 *
 * Returns 0, or -1 with errno EINVAL when the routine is NULL or ENOMEM; then it will not be called.
 */
TAGPOOL_API int tagpool_scope_cleanup(tagpool_scope_t *scope, void (*routine)(void *argument), void *argument);

#ifdef __cplusplus
}
#endif

#endif
