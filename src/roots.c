#include "roots.h"
#include "maps.h"

#include <errno.h>
#include <string.h>

/* Lists and magazines: more are damage. */
#define ROOTS_LISTS 65536u

/* Metadata is aligned to so much (metadata.h). */
#define ROOTS_GRAIN 64u

/* The engine's own address space, and variables that say where it begins: there is the first block. */
enum { OWN_SPACE, OWN_SPECIAL, OWN_SEGMENT, OWN_BASE, OWN_AREAS, OWN_COUNT };

struct roots_walk {
    struct tp_mark *mark;
    struct tp_inventory *inventory;
    const struct tp_roots *roots;
    struct tp_image_range own[OWN_COUNT];
    bool knows_pages;
    uint8_t *skip; /* of metadata, a bit each grain: not to be read as a whole */
    uintptr_t metadata;
    size_t metadata_size;
    union {
        struct tp_lookaside list;
        struct tp_magazine magazine;
    } * desk;
};

/* --- mappings ------------------------------------------------------------------------------------------------- */

static void roots_find_own(struct roots_walk *walk)
{
    const struct tp_inventory *inventory = walk->inventory;
    const struct tp_area *first = &inventory->areas[0], *last = &inventory->areas[TP_AREA_COUNT - 1];
    uintptr_t begin = (uintptr_t)first->base, end = (uintptr_t)last->base + last->size;
    uintptr_t segment = (uintptr_t)inventory->space.rows - inventory->segment.rows_offset;
    walk->own[OWN_SPACE] = (struct tp_image_range){begin, end - begin};
    walk->own[OWN_SPECIAL] = (struct tp_image_range){inventory->special.base, inventory->special.reserved};
    walk->own[OWN_SEGMENT] = (struct tp_image_range){segment, inventory->segment.file_size};
    walk->own[OWN_BASE] = (struct tp_image_range){(uintptr_t)inventory->chart.space, sizeof(inventory->space)};
    walk->own[OWN_AREAS] = (struct tp_image_range){(uintptr_t)inventory->chart.areas, sizeof(inventory->areas)};
}

/* Below its stack pointer a stack holds what is over. */
static uintptr_t roots_stack_begin(const struct roots_walk *walk, const struct tp_mapping *mapping)
{
    for (size_t i = 0; mapping->is_stack && i < walk->roots->stack_count; i++)
        if (walk->roots->stacks[i] - mapping->from < mapping->to - mapping->from)
            return tp_max((walk->roots->stacks[i] & ~(sizeof(uintptr_t) - 1)) - walk->roots->red_zone, mapping->from);
    return mapping->from;
}

/* Mappings merge with their neighbours: the engine's own may lie within one. */
static void roots_mark_foreign(struct roots_walk *walk, uintptr_t from, uintptr_t to, unsigned own)
{
    while (own < OWN_COUNT &&
           (walk->own[own].size == 0 || walk->own[own].at >= to || walk->own[own].at + walk->own[own].size <= from))
        own++;
    if (own == OWN_COUNT) {
        tp_mark_range(walk->mark, from, to);
        return;
    }
    if (from < walk->own[own].at)
        roots_mark_foreign(walk, from, walk->own[own].at, own + 1);
    if (walk->own[own].at + walk->own[own].size < to)
        roots_mark_foreign(walk, walk->own[own].at + walk->own[own].size, to, own + 1);
}

static int roots_mark_mappings(struct roots_walk *walk)
{
    struct tp_image *image = walk->mark->image;
    struct tp_maps *maps = image->memory(image, sizeof(*maps));
    struct tp_mapping mapping;
    bool is_any = false;
    if (maps == NULL)
        return -ENOMEM;
    for (maps->image = image; tp_maps_next(maps, &mapping); is_any = true)
        if (mapping.is_readable && mapping.is_private && (mapping.is_writable || walk->knows_pages))
            roots_mark_foreign(walk, roots_stack_begin(walk, &mapping), mapping.to, 0);
    return is_any && maps->error == 0 ? 0 : maps->error != 0 ? maps->error : -ENOENT;
}

/* --- stacks --------------------------------------------------------------------------------------------------- */

/* Coroutines may have theirs in a block. */
static void roots_mark_stacks(const struct roots_walk *walk)
{
    for (size_t i = 0; i < walk->roots->stack_count; i++)
        tp_mark_rest(walk->mark, walk->roots->stacks[i]);
}

/* --- holdings ------------------------------------------------------------------------------------------------- */

static void roots_skip(struct roots_walk *walk, uintptr_t at, size_t size)
{
    if (at - walk->metadata >= walk->metadata_size)
        return;
    size_t first = (at - walk->metadata) / ROOTS_GRAIN;
    size_t end = tp_min(tp_round_up(at - walk->metadata + size, ROOTS_GRAIN), walk->metadata_size) / ROOTS_GRAIN;
    for (size_t grain = first; grain < end; grain++)
        walk->skip[grain / 8] |= (uint8_t)(1u << grain % 8);
}

static void roots_mark_lists(struct roots_walk *walk)
{
    struct tp_image *image = walk->mark->image;
    struct tp_lookaside *list = &walk->desk->list;
    uintptr_t at;
    if (!tp_image_get(image, (uintptr_t)walk->inventory->chart.lookasides, &at, sizeof(at)))
        return;
    for (unsigned i = 0; at != 0 && i < ROOTS_LISTS && tp_image_get(image, at, list, sizeof(*list)); i++) {
        roots_skip(walk, at, sizeof(*list));
        tp_mark_words(walk->mark, (const uintptr_t *)list->store, tp_min(list->count, TAGPOOL_LOOKASIDE_DEPTH_MAX));
        at = (uintptr_t)list->next;
    }
}

static void roots_mark_magazines(struct roots_walk *walk, uintptr_t at)
{
    struct tp_image *image = walk->mark->image;
    struct tp_magazine *magazine = &walk->desk->magazine;
    for (unsigned i = 0; at != 0 && i < ROOTS_LISTS && tp_image_get(image, at, magazine, sizeof(*magazine)); i++) {
        const struct tagpool_lookaside_hand *hand = &magazine->hand;
        roots_skip(walk, at, sizeof(*magazine));
        if (magazine->state != NULL)
            tp_mark_words(walk->mark, (const uintptr_t *)hand->blocks, tp_min(hand->count, TAGPOOL_LOOKASIDE_HAND));
        at = (uintptr_t)magazine->next;
    }
}

/* They hold no pointers, and are long. */
static void roots_skip_tables(struct roots_walk *walk)
{
    const struct tp_inventory_page *page = NULL;
    while ((page = tp_inventory_next(walk->inventory, page)) != NULL) {
        if (page->slot != TAGPOOL_SEGMENT_NO_SLOT)
            continue;
        roots_skip(walk, page->list, page->count * sizeof(uint16_t));
        if (page->watch != 0)
            roots_skip(walk, page->watch, page->capacity * TP_WATCH_EACH);
    }
}

static bool roots_is_skipped(const struct roots_walk *walk, size_t grain)
{
    return (walk->skip[grain / 8] >> grain % 8 & 1) != 0;
}

static void roots_mark_metadata(struct roots_walk *walk)
{
    size_t count = walk->metadata_size / ROOTS_GRAIN;
    for (size_t grain = 0, end; grain < count; grain = end + 1) {
        for (end = grain; end < count && !roots_is_skipped(walk, end);)
            end++;
        if (end > grain)
            tp_mark_range(walk->mark, walk->metadata + grain * ROOTS_GRAIN, walk->metadata + end * ROOTS_GRAIN);
    }
}

static int roots_mark_holdings(struct roots_walk *walk)
{
    struct tp_image *image = walk->mark->image;
    const struct tp_area *area = &walk->inventory->areas[TP_AREA_METADATA];
    walk->metadata = (uintptr_t)area->base;
    walk->metadata_size = area->committed;
    walk->skip = image->memory(image, walk->metadata_size / ROOTS_GRAIN / 8 + 1);
    walk->desk = image->memory(image, sizeof(*walk->desk));
    if (walk->skip == NULL || walk->desk == NULL)
        return -ENOMEM;
    roots_skip_tables(walk);
    roots_mark_lists(walk);
    for (size_t index = 0; index < walk->inventory->thread_count; index++) {
        const struct tp_thread *thread = tp_inventory_thread(walk->inventory, index);
        if (thread != NULL && thread->state != TP_THREAD_FREE)
            roots_mark_magazines(walk, (uintptr_t)thread->magazines);
    }
    roots_mark_metadata(walk);
    return 0;
}

/* --- the interface -------------------------------------------------------------------------------------------- */

int tp_roots_mark(struct tp_mark *mark, const struct tp_roots *roots)
{
    struct roots_walk walk = {.mark = mark, .inventory = mark->inventory, .roots = roots};
    uint64_t page;
    walk.knows_pages = mark->image->pages(mark->image, mark->inventory->space.base, 1, &page);
    roots_find_own(&walk);
    tp_mark_words(mark, roots->words, roots->word_count);
    roots_mark_stacks(&walk);
    int error = roots_mark_mappings(&walk);
    return error == 0 ? roots_mark_holdings(&walk) : error;
}
