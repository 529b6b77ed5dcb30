/*
 * Scopes (include/tagpool/scope.h).
 *
 *   scope -> chunks   -> row (kind, tag) -> row ...      | header | piece | piece | ..... |
 *                          v older                               given out        at    end
 *                        chunk of that row ...
 *         -> records  -> chunk -> the first, which begins with the scope itself
 *         -> blocks   -> (block) -> (block) ...          whole blocks: too large for a chunk, or adopted
 *         -> newest   -> cleanup -> child -> cleanup ... what ends in order
 *
 * Notes of blocks and of what ends in order lie in the row of records, so they go with it.
 *
 * Q1  The list of chunks holds the newest chunk of each row, no row twice, the last used first.
 * Q2  All blocks of the pool that a scope has are chunks or in its list of blocks.
 * Q3  What ends in order is linked both ways; a child that has ended is in no list.
 * Q4  The length of a chunk is a power of two, and a size class (C3): none of it is lost, and nobody needs to ask.
 *
 * No lock: one thread uses a scope at a time.
 */
#include <tagpool/scope.h>

#include "inventory.h"

#include <errno.h>
#include <string.h>

#define CHUNK_FIRST TP_KIB
#define CHUNK_MOST (64 * TP_KIB)
#define RECORDS_FIRST ((size_t)512)

/* What is cut from chunks: more has a block of its own, unless there happens to be room. */
#define PIECE_MOST (CHUNK_MOST / 4)

struct scope_chunk {
    char *at; /* the next piece; a multiple of 16, as end is */
    char *end;
    tagpool_kind_t kind;
    tagpool_tag_t tag;
    size_t total; /* bytes of all chunks that the row has had: the length of the next one */
    struct scope_chunk *older;
    struct scope_chunk *next_row;
};
_Static_assert(sizeof(struct scope_chunk) % 16 == 0, "at");
_Static_assert(sizeof(struct scope_chunk) == TP_SCOPE_OFFSET, "a scope is found in its first chunk");

struct scope_block {
    void *block;
    struct scope_block *next;
};

struct scope_entry {
    void (*routine)(void *argument); /* NULL: the entry is that of a child */
    void *argument;                  /* or the child */
    struct scope_entry *older;
    struct scope_entry *newer;
};

struct tagpool_scope {
    struct scope_chunk *chunks;
    struct scope_chunk *records;
    struct scope_block *blocks;
    struct scope_entry *newest;
    tagpool_scope_t *parent;
    struct scope_entry as_child;
};
_Static_assert(sizeof(struct scope_chunk) + sizeof(struct tagpool_scope) <= RECORDS_FIRST, "a scope has one block");

/* One call, as the slow path passes it on. */
struct scope_request {
    tagpool_kind_t kind;
    tagpool_tag_t tag;
    size_t size;
    size_t alignment; /* at least 16 */
    bool zeroed;
};

/* As cut from a chunk. */
static size_t request_size(const struct scope_request *request)
{
    return tp_round_up(tp_max(request->size, 1), 16);
}

/* --- chunks --------------------------------------------------------------------------------------------------- */

static char *chunk_first(struct scope_chunk *chunk)
{
    return (char *)(chunk + 1);
}

/* The power of two from `least` on that is not below what the row has had, nor beyond the limit because of that. */
static size_t chunk_size(size_t least, size_t before)
{
    size_t wanted = tp_max(least, tp_min(before, CHUNK_MOST));
    return (size_t)1 << (64 - __builtin_clzl(wanted - 1));
}

/* The next chunk of a row, or its first: `least` bytes or more. */
static struct scope_chunk *chunk_create(struct scope_chunk *older, tagpool_kind_t kind, tagpool_tag_t tag, size_t least)
{
    size_t before = older != NULL ? older->total : 0;
    size_t size = chunk_size(least, before);
    struct scope_chunk *chunk = tagpool_alloc(kind, size, tag);
    if (chunk == NULL)
        return NULL;
    TP_ASSERT(tagpool_size(chunk) == size, "Q4");
    *chunk = (struct scope_chunk){
        .at = chunk_first(chunk),
        .end = (char *)chunk + size,
        .kind = kind,
        .tag = tag,
        .total = before + size,
        .older = older,
    };
    return chunk;
}

/* This chunk of a row and all older ones, but for `kept`, one of these, and what is older; NULL: no exception. */
static void chunk_free_all(struct scope_chunk *chunk, const struct scope_chunk *kept)
{
    while (chunk != kept) {
        struct scope_chunk *older = chunk->older;
        tagpool_free(chunk);
        chunk = older;
    }
}

/* NULL: there is no room.  The size is a multiple of 16. */
static void *chunk_cut(struct scope_chunk *chunk, size_t alignment, size_t size)
{
    size_t gap = -(uintptr_t)chunk->at & (alignment - 1);
    size_t room = (size_t)(chunk->end - chunk->at);
    if (gap > room || size > room - gap)
        return NULL;
    char *piece = chunk->at + gap;
    chunk->at = piece + size;
    return piece;
}

/* --- rows ----------------------------------------------------------------------------------------------------- */

static bool row_is(const struct scope_chunk *chunk, tagpool_kind_t kind, tagpool_tag_t tag)
{
    return chunk->tag == tag && chunk->kind == kind;
}

/* The row's newest chunk, which is the list's first then; NULL: there is none.  Keeps Q1. */
static struct scope_chunk *row_find(tagpool_scope_t *scope, tagpool_kind_t kind, tagpool_tag_t tag)
{
    struct scope_chunk **link = &scope->chunks;
    while (*link != NULL && !row_is(*link, kind, tag))
        link = &(*link)->next_row;
    struct scope_chunk *chunk = *link;
    if (chunk == NULL)
        return NULL;
    *link = chunk->next_row;
    chunk->next_row = scope->chunks;
    scope->chunks = chunk;
    return chunk;
}

/* A new chunk with room for the request.  It takes the place of `newest`, which is first of the list, or NULL. */
static struct scope_chunk *row_grow(tagpool_scope_t *scope, struct scope_chunk *newest,
                                    const struct scope_request *request)
{
    size_t least = sizeof(struct scope_chunk) + request->alignment - 16 + request_size(request);
    struct scope_chunk *chunk = chunk_create(newest, request->kind, request->tag, tp_max(least, CHUNK_FIRST));
    if (chunk == NULL)
        return NULL;
    chunk->next_row = newest != NULL ? newest->next_row : scope->chunks;
    scope->chunks = chunk;
    return chunk;
}

/* After a reset: the newest chunk stays if the row was in use.  False: the row is gone. */
static bool row_reset(struct scope_chunk *newest)
{
    bool was_used = newest->at != chunk_first(newest);
    chunk_free_all(newest->older, NULL);
    newest->older = NULL;
    newest->at = chunk_first(newest);
    if (!was_used)
        tagpool_free(newest);
    return was_used;
}

static void rows_reset(tagpool_scope_t *scope)
{
    struct scope_chunk **link = &scope->chunks;
    while (*link != NULL) {
        struct scope_chunk *newest = *link, *next = newest->next_row;
        if (row_reset(newest))
            link = &newest->next_row;
        else
            *link = next;
    }
}

static void rows_free(tagpool_scope_t *scope)
{
    while (scope->chunks != NULL) {
        struct scope_chunk *newest = scope->chunks;
        scope->chunks = newest->next_row;
        chunk_free_all(newest, NULL);
    }
}

/* --- records -------------------------------------------------------------------------------------------------- */

/* The chunk that begins with the scope. */
static struct scope_chunk *records_first(tagpool_scope_t *scope)
{
    return (struct scope_chunk *)scope - 1;
}

static void *record_alloc(tagpool_scope_t *scope, size_t size)
{
    size = tp_round_up(size, 16);
    void *record = chunk_cut(scope->records, 16, size);
    if (TP_LIKELY(record != NULL))
        return record;
    struct scope_chunk *chunk = chunk_create(scope->records, TAGPOOL_PAGED, TAGPOOL_SCOPE_TAG, RECORDS_FIRST);
    if (chunk == NULL)
        return NULL;
    scope->records = chunk;
    return chunk_cut(chunk, 16, size);
}

static void records_reset(tagpool_scope_t *scope)
{
    chunk_free_all(scope->records, records_first(scope));
    scope->records = records_first(scope);
    scope->records->at = (char *)scope + tp_round_up(sizeof(*scope), 16);
}

/* --- whole blocks --------------------------------------------------------------------------------------------- */

/* False with errno ENOMEM: the block is not the scope's. */
static bool block_keep(tagpool_scope_t *scope, void *block)
{
    struct scope_block *note = record_alloc(scope, sizeof(*note));
    if (note == NULL)
        return false;
    *note = (struct scope_block){block, scope->blocks};
    scope->blocks = note;
    return true;
}

static void *block_from_pool(const struct scope_request *request)
{
    if (request->alignment > 16)
        return tagpool_alloc_aligned(request->kind, request->alignment, request->size, request->tag);
    return request->zeroed ? tagpool_zalloc(request->kind, request->size, request->tag)
                           : tagpool_alloc(request->kind, request->size, request->tag);
}

static void *block_alloc(tagpool_scope_t *scope, const struct scope_request *request)
{
    void *block = block_from_pool(request);
    if (block == NULL || block_keep(scope, block))
        return block;
    tagpool_free(block);
    return NULL;
}

static void blocks_free(tagpool_scope_t *scope)
{
    for (const struct scope_block *note = scope->blocks; note != NULL; note = note->next)
        tagpool_free(note->block);
    scope->blocks = NULL;
}

int tagpool_scope_adopt(tagpool_scope_t *scope, void *block)
{
    if (tagpool_tag_of(block) == 0) {
        errno = EINVAL;
        return -1;
    }
    return block_keep(scope, block) ? 0 : -1;
}

/* --- allocate ------------------------------------------------------------------------------------------------- */

/* Whether a chunk is made for it if none is at hand.  An OS page is cheaper from the pool than within a chunk. */
static bool request_is_small(const struct scope_request *request)
{
    return request->size <= PIECE_MOST && request->alignment < TP_OS_PAGE;
}

static void *piece_alloc(tagpool_scope_t *scope, struct scope_chunk *newest, const struct scope_request *request)
{
    struct scope_chunk *chunk = row_grow(scope, newest, request);
    return chunk != NULL ? chunk_cut(chunk, request->alignment, request_size(request)) : NULL;
}

/* From what is at hand, a new chunk, or the pool; `is_piece` tells from which. */
static void *request_serve(tagpool_scope_t *scope, const struct scope_request *request, bool *is_piece)
{
    struct scope_chunk *newest = row_find(scope, request->kind, request->tag);
    void *piece = newest != NULL && request->size <= CHUNK_MOST
                      ? chunk_cut(newest, request->alignment, request_size(request))
                      : NULL;
    *is_piece = piece != NULL || request_is_small(request);
    if (piece != NULL)
        return piece;
    return *is_piece ? piece_alloc(scope, newest, request) : block_alloc(scope, request);
}

static TP_NOINLINE void *scope_alloc_slow(tagpool_scope_t *scope, const struct scope_request *request)
{
    bool is_piece;
    void *block = request_serve(scope, request, &is_piece);
    if (block != NULL && is_piece && request->zeroed)
        memset(block, 0, request->size);
    return block;
}

void *tagpool_scope_alloc(tagpool_scope_t *scope, tagpool_kind_t kind, size_t size, tagpool_tag_t tag)
{
    struct scope_chunk *chunk = scope->chunks;
    if (TP_UNLIKELY(chunk == NULL || !row_is(chunk, kind, tag)))
        chunk = row_find(scope, kind, tag);
    /* A size of 0 is not below any room. */
    if (TP_UNLIKELY(chunk == NULL || size - 1 >= (size_t)(chunk->end - chunk->at)))
        return scope_alloc_slow(scope, &(struct scope_request){kind, tag, size, 16, false});
    void *piece = chunk->at;
    chunk->at += tp_round_up(size, 16);
    return piece;
}

void *tagpool_scope_zalloc(tagpool_scope_t *scope, tagpool_kind_t kind, size_t size, tagpool_tag_t tag)
{
    return scope_alloc_slow(scope, &(struct scope_request){kind, tag, size, 16, true});
}

void *tagpool_scope_alloc_aligned(tagpool_scope_t *scope, tagpool_kind_t kind, size_t alignment, size_t size,
                                  tagpool_tag_t tag)
{
    if (!tp_is_power_of_two(alignment)) {
        errno = EINVAL;
        return NULL;
    }
    return scope_alloc_slow(scope, &(struct scope_request){kind, tag, size, tp_max(alignment, 16), false});
}

/* --- what ends in order --------------------------------------------------------------------------------------- */

static void entry_add(tagpool_scope_t *scope, struct scope_entry *entry)
{
    TP_ASSERT(scope->newest == NULL || scope->newest->newer == NULL, "Q3");

    entry->older = scope->newest;
    entry->newer = NULL;
    if (scope->newest != NULL)
        scope->newest->newer = entry;
    scope->newest = entry;
}

static void entry_remove(tagpool_scope_t *scope, struct scope_entry *entry)
{
    TP_ASSERT((entry->newer == NULL ? scope->newest : entry->newer->older) == entry, "Q3");
    TP_ASSERT(entry->older == NULL || entry->older->newer == entry, "Q3");

    if (entry->newer != NULL)
        entry->newer->older = entry->older;
    else
        scope->newest = entry->older;
    if (entry->older != NULL)
        entry->older->newer = entry->newer;
}

int tagpool_scope_cleanup(tagpool_scope_t *scope, void (*routine)(void *argument), void *argument)
{
    if (routine == NULL) {
        errno = EINVAL;
        return -1;
    }
    struct scope_entry *entry = record_alloc(scope, sizeof(*entry));
    if (entry == NULL)
        return -1;
    *entry = (struct scope_entry){.routine = routine, .argument = argument};
    entry_add(scope, entry);
    return 0;
}

/* Off the list first: it is called once, whatever the routine does. */
static void cleanup_run(tagpool_scope_t *scope, struct scope_entry *entry)
{
    entry_remove(scope, entry);
    entry->routine(entry->argument);
}

/* All memory of a scope, after what ends in order; its parent. */
static tagpool_scope_t *scope_free(tagpool_scope_t *scope)
{
    TP_ASSERT(scope->newest == NULL, "Q3");

    tagpool_scope_t *parent = scope->parent;
    if (parent != NULL)
        entry_remove(parent, &scope->as_child);
    blocks_free(scope);
    rows_free(scope);
    chunk_free_all(scope->records, NULL);
    return parent;
}

/*
 * Everything that ends in order, newest first, children whole.  One loop, for children may lie within each other
 * without bound; each step looks anew, for a cleanup may have changed what there is.
 */
static void scope_unwind(tagpool_scope_t *top)
{
    tagpool_scope_t *scope = top;
    while (scope != top || top->newest != NULL) {
        struct scope_entry *newest = scope->newest;
        if (newest == NULL)
            scope = scope_free(scope);
        else if (newest->routine == NULL)
            scope = newest->argument;
        else
            cleanup_run(scope, newest);
    }
}

/* --- life ----------------------------------------------------------------------------------------------------- */

tagpool_scope_t *tagpool_scope_create(tagpool_scope_t *parent)
{
    struct scope_chunk *records = chunk_create(NULL, TAGPOOL_PAGED, TAGPOOL_SCOPE_TAG, RECORDS_FIRST);
    if (records == NULL)
        return NULL;
    tagpool_scope_t *scope = chunk_cut(records, 16, tp_round_up(sizeof(*scope), 16));
    *scope = (tagpool_scope_t){.records = records, .parent = parent, .as_child.argument = scope};
    if (parent != NULL)
        entry_add(parent, &scope->as_child);
    return scope;
}

void tagpool_scope_destroy(tagpool_scope_t *scope)
{
    if (scope == NULL)
        return;
    scope_unwind(scope);
    scope_free(scope);
}

void tagpool_scope_reset(tagpool_scope_t *scope)
{
    scope_unwind(scope);
    blocks_free(scope);
    rows_reset(scope);
    records_reset(scope);
}
