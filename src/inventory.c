#include "inventory.h"

#include <errno.h>
#include <string.h>
#include <tagpool/scope.h>

/* Descriptors that are read at once. */
#define INVENTORY_CHUNK 256u

/* No page has more blocks. */
#define INVENTORY_BLOCKS (TP_UNIT / 16)

/* Parcels of one chain: more are damage. */
#define INVENTORY_PARCELS 65536u

struct tp_inventory_desk {
    struct tp_page pages[INVENTORY_CHUNK];
    uint64_t owners[INVENTORY_CHUNK];
    uint16_t side[INVENTORY_BLOCKS];
    struct tp_watch watch[INVENTORY_BLOCKS];
    struct tp_watch_who who[INVENTORY_BLOCKS];
    const struct tp_inventory_page *described; /* whose tables the two are */
    struct tp_track tracks[INVENTORY_BLOCKS];
    const struct tp_inventory_page *tracked; /* whose records they are */
    char copy[TP_UNIT];
    struct tp_thread thread;
    struct tagpool_segment_slot slots[INVENTORY_CHUNK];
};

static uintptr_t inventory_address(const void *p)
{
    return (uintptr_t)p;
}

/* --- pages ---------------------------------------------------------------------------------------------------- */

static uintptr_t page_block(const struct tp_inventory_page *page, uint32_t index)
{
    if (page->each == 0)
        return page->start + index * page->size;
    return page->start + index / page->each * TP_OS_PAGE + index % page->each * page->size;
}

/* The block that an offset lies in, and how far from its beginning; false: none. */
static bool page_index(const struct tp_inventory_page *page, size_t offset, uint32_t *index, size_t *within)
{
    size_t before = page->each != 0 ? offset / TP_OS_PAGE * page->each : 0;
    size_t rest = page->each != 0 ? offset % TP_OS_PAGE : offset;
    size_t number = rest / page->size;
    *within = rest % page->size;
    *index = (uint32_t)(before + number);
    return before + number < page->count && (page->each == 0 || number < page->each);
}

static bool page_is_sound(const struct tp_page *page, size_t units)
{
    size_t bytes = (size_t)page->units << TP_UNIT_SHIFT;
    if (page->units == 0 || page->units > units)
        return false;
    if (page->state == TP_UNIT_LARGE)
        return page->large_size > 0 && page->large_size <= bytes && page->slot < TP_SLOT_COUNT;
    return page->state == TP_UNIT_BLOCKS && page->block_size >= 16 && page->block_size % 16 == 0 &&
           page->block_size <= bytes && page->carved <= page->capacity && page->capacity <= bytes / page->block_size &&
           page->carved <= INVENTORY_BLOCKS && page->slot < TP_SLOT_COUNT;
}

static bool inventory_is_frozen(const struct tp_inventory *inventory, uint64_t owner)
{
    uint64_t index = (owner >> 4) - TP_OWNER_FIRST_THREAD;
    return index < inventory->thread_count && inventory->frozen[index];
}

static void inventory_enter_blocks(const struct tp_inventory *inventory, struct tp_inventory_page *entry,
                                   const struct tp_page *page)
{
    bool is_mixed = page->slot == TAGPOOL_SEGMENT_NO_SLOT;
    bool is_split = page->table == TP_TABLE_POOL && page->block_size < TP_OS_PAGE;
    const void *list = inventory->seal.on ? page->sealed : page->free;
    entry->list = inventory_address(is_mixed ? page->side : list);
    entry->watch = page->watched ? inventory_address(page->watch) : 0;
    entry->tracks = inventory_address(page->tracks);
    entry->size = page->block_size;
    entry->count = page->carved;
    entry->capacity = page->capacity;
    entry->each = is_split ? (uint16_t)(TP_OS_PAGE / page->block_size) : 0;
    entry->is_unsure = !is_mixed && inventory_is_frozen(inventory, page->owner);
}

/* Units that are done with. */
static size_t inventory_enter(struct tp_inventory *inventory, struct tp_inventory_region *region, size_t i,
                              const struct tp_page *page, uint64_t owner)
{
    struct tp_inventory_page *entry = &region->pages[i];
    if (owner == TP_OWNER_NONE || (owner & TP_OWNER_BACK_MASK) != 0 || !page_is_sound(page, region->count - i))
        return 1;
    entry->start = inventory->space.base + ((region->first + i) << TP_UNIT_SHIFT);
    entry->slot = page->slot;
    if (page->state == TP_UNIT_LARGE) {
        entry->is_large = 1;
        entry->count = 1;
        entry->size = page->large_size;
        entry->large_track = page->large_track;
    } else {
        inventory_enter_blocks(inventory, entry, page);
    }
    entry->first = inventory->block_count;
    inventory->block_count += entry->count;
    for (uint32_t back = 1; back < page->units; back++)
        entry[back].back = back;
    return page->units;
}

static bool inventory_read_chunk(struct tp_inventory *inventory, size_t unit, size_t count)
{
    struct tp_inventory_desk *desk = inventory->desk;
    return tp_image_get(inventory->image, inventory_address(inventory->space.pages + unit), desk->pages,
                        count * sizeof(desk->pages[0])) &&
           tp_image_get(inventory->image, inventory_address(inventory->space.owners + unit), desk->owners,
                        count * sizeof(desk->owners[0]));
}

static int inventory_read_pages(struct tp_inventory *inventory, struct tp_inventory_region *region)
{
    size_t next = 0; /* the first unit that no page has passed over */
    for (size_t begin = 0; begin < region->count; begin += INVENTORY_CHUNK) {
        size_t count = tp_min(INVENTORY_CHUNK, region->count - begin);
        if (!inventory_read_chunk(inventory, region->first + begin, count))
            return -EIO;
        while (next < begin + count)
            next += inventory_enter(inventory, region, next, &inventory->desk->pages[next - begin],
                                    inventory->desk->owners[next - begin]);
    }
    return 0;
}

/* In the order of their addresses. */
static int inventory_read_region(struct tp_inventory *inventory, unsigned number)
{
    struct tp_inventory_region *region = &inventory->regions[number];
    const struct tagpool_segment_region *used = inventory->segment.region;
    used += number ^ (used[0].first > used[1].first ? 1u : 0u);
    region->first = used->first;
    region->count = used->used_total;
    if (region->first > inventory->space.unit_count || region->count > inventory->space.unit_count - region->first)
        return -EPROTO;
    if (region->count == 0)
        return 0;
    region->pages = inventory->image->memory(inventory->image, region->count * sizeof(region->pages[0]));
    return region->pages != NULL ? inventory_read_pages(inventory, region) : -ENOMEM;
}

/* --- special pool --------------------------------------------------------------------------------------------- */

/* A record has two pages at least, and the first is none. */
static bool inventory_area_is_sound(const struct tp_special_area *area)
{
    return area->used <= area->reserved && area->records_used <= area->used / (2 * TP_OS_PAGE) + 1;
}

static int inventory_read_special(struct tp_inventory *inventory)
{
    struct tp_image *image = inventory->image;
    struct tp_special_area *area = &inventory->special;
    size_t map_size = (area->used >> TP_OS_PAGE_SHIFT) * sizeof(uint32_t);
    size_t records_size = area->records_used * sizeof(struct tp_special);
    if (!inventory_area_is_sound(area))
        return -EPROTO;
    if (map_size == 0 || records_size == 0)
        return 0;
    inventory->map = image->memory(image, map_size);
    inventory->records = image->memory(image, records_size);
    if (inventory->map == NULL || inventory->records == NULL)
        return -ENOMEM;
    bool is_read = tp_image_get(image, inventory_address(area->map), inventory->map, map_size) &&
                   tp_image_get(image, inventory_address(area->records), inventory->records, records_size);
    return is_read ? 0 : -EIO;
}

/* --- what is free --------------------------------------------------------------------------------------------- */

static bool inventory_read_tables(struct tp_inventory *inventory, const struct tp_inventory_page *page)
{
    struct tp_inventory_desk *desk = inventory->desk;
    if (desk->described == page)
        return true;
    desk->described = NULL;
    uintptr_t who = page->watch + page->capacity * sizeof(desk->watch[0]);
    bool is_read =
        page->watch != 0
            ? tp_image_get(inventory->image, page->watch, desk->watch, page->count * sizeof(desk->watch[0])) &&
                  tp_image_get(inventory->image, who, desk->who, page->count * sizeof(desk->who[0]))
            : tp_image_get(inventory->image, page->list, desk->side, page->count * sizeof(desk->side[0]));
    for (uint32_t i = 0; is_read && page->watch != 0 && i < page->count; i++)
        desk->side[i] = desk->watch[i].slot;
    desk->described = is_read ? page : NULL;
    return is_read;
}

static uint8_t inventory_slot_state(const struct tp_inventory *inventory, uint32_t slot)
{
    return slot < TP_SLOT_COUNT ? inventory->slot_states[slot] : 0;
}

/* R2: a page whose tables cannot be read has no blocks. */
static void inventory_look_at_mixed(struct tp_inventory *inventory, const struct tp_inventory_page *page)
{
    uint8_t *state = &inventory->state[page->first];
    const uint16_t *side = inventory->desk->side;
    bool is_read = inventory_read_tables(inventory, page);
    for (uint32_t i = 0; i < page->count; i++)
        if (!is_read || side[i] == TAGPOOL_SEGMENT_NO_SLOT || (side[i] & TP_SIDE_FREED) != 0)
            state[i] |= TP_BLOCK_FREE;
        else
            state[i] |= inventory_slot_state(inventory, side[i]);
}

/* The next free block by the first word of one: from the copy of its page, or else from the image. */
static uintptr_t inventory_link(struct tp_inventory *inventory, const char *copy, size_t offset, uintptr_t block)
{
    uintptr_t link = 0;
    if (copy != NULL)
        memcpy(&link, copy + offset, sizeof(link));
    else
        tp_image_get(inventory->image, block, &link, sizeof(link));
    return inventory->seal.on ? link ^ tp_seal_link_key_by(&inventory->seal, block) : link;
}

/* A copy of the memory of a page's blocks; NULL: they are few, or it cannot be read. */
static const char *inventory_copy(struct tp_inventory *inventory, const struct tp_inventory_page *page)
{
    size_t size = page->count > 0 ? page_block(page, page->count - 1) + page->size - page->start : 0;
    char *copy = inventory->desk->copy;
    return page->count > 16 && size <= TP_UNIT && tp_image_get(inventory->image, page->start, copy, size) ? copy : NULL;
}

static void inventory_follow_list(struct tp_inventory *inventory, const struct tp_inventory_page *page)
{
    uint8_t *state = &inventory->state[page->first];
    const char *copy = inventory_copy(inventory, page);
    uintptr_t block = page->list;
    uint32_t index;
    size_t within;
    while (block != 0 && page_index(page, block - page->start, &index, &within) && within == 0 &&
           (state[index] & TP_BLOCK_FREE) == 0) {
        state[index] |= TP_BLOCK_FREE;
        block = inventory_link(inventory, copy, block - page->start, block);
    }
}

static void inventory_look_at_owned(struct tp_inventory *inventory, const struct tp_inventory_page *page)
{
    uint8_t state = inventory_slot_state(inventory, page->slot);
    for (uint32_t i = 0; state != 0 && i < page->count; i++)
        inventory->state[page->first + i] |= state;
    if (!page->is_large)
        inventory_follow_list(inventory, page);
}

static void inventory_look_at_pages(struct tp_inventory *inventory)
{
    const struct tp_inventory_page *page = NULL;
    while ((page = tp_inventory_next(inventory, page)) != NULL) {
        if (page->slot == TAGPOOL_SEGMENT_NO_SLOT)
            inventory_look_at_mixed(inventory, page);
        else
            inventory_look_at_owned(inventory, page);
    }
}

/* A live block within its run, and that in the area. */
static bool inventory_record_is_sound(const struct tp_inventory *inventory, const struct tp_special *special)
{
    size_t from = (size_t)special->first << TP_OS_PAGE_SHIFT, size = (size_t)special->room << TP_OS_PAGE_SHIFT;
    size_t offset = inventory_address(special->block) - inventory->special.base - from;
    return (special->state == TP_SPECIAL_LIVE || special->state == TP_SPECIAL_HELD) &&
           from + size <= inventory->special.used && offset <= size && special->size <= size - offset;
}

static void inventory_look_at_records(struct tp_inventory *inventory)
{
    for (size_t i = 0; i < inventory->node_count - inventory->block_count; i++) {
        const struct tp_special *special = &inventory->records[i];
        if (!inventory_record_is_sound(inventory, special))
            inventory->state[inventory->block_count + i] |= TP_BLOCK_FREE;
        else
            inventory->state[inventory->block_count + i] |= inventory_slot_state(inventory, special->slot);
    }
}

/* --- mail ----------------------------------------------------------------------------------------------------- */

/* A block that is on its way home, and its first two words; false: it is none. */
static bool inventory_take_freed(struct tp_inventory *inventory, uintptr_t block, struct tp_sealed *words)
{
    struct tp_inventory_node node;
    if (!tp_inventory_find(inventory, block, &node) || node.page == NULL || !node.is_start ||
        !tp_image_get(inventory->image, block, words, sizeof(*words)))
        return false;
    inventory->state[node.number] |= TP_BLOCK_FREE;
    return true;
}

static void inventory_follow_chain(struct tp_inventory *inventory, uintptr_t block, uint64_t count)
{
    struct tp_sealed words;
    for (count = tp_min(count, TP_PARCEL_BLOCKS); count > 0 && inventory_take_freed(inventory, block, &words); count--)
        block = inventory_address(words.next);
}

/* Parcels that travel, chained through their first blocks. */
static void inventory_follow_mail(struct tp_inventory *inventory, uintptr_t parcel)
{
    struct tp_sealed first;
    for (uint32_t i = 0; i < INVENTORY_PARCELS && inventory_take_freed(inventory, parcel, &first); i++) {
        uint64_t count = first.more >> TP_PARCEL_COUNT_SHIFT;
        inventory_follow_chain(inventory, first.more & TP_PARCEL_POINTER_MASK, count > 0 ? count - 1 : 0);
        parcel = inventory_address(first.next);
    }
}

/* Hardened blocks that a thread keeps from use. */
static void inventory_empty_ring(struct tp_inventory *inventory, uintptr_t ring)
{
    struct tp_harden_ring copy;
    struct tp_sealed words;
    if (ring == 0 || !tp_image_get(inventory->image, ring, &copy, sizeof(copy)))
        return;
    for (unsigned i = 0; i < TP_HARDEN_PLACES; i++)
        inventory_take_freed(inventory, inventory_address(copy.blocks[i]), &words);
}

static void inventory_open_mail(struct tp_inventory *inventory)
{
    for (size_t index = 0; index < inventory->thread_count; index++) {
        const struct tp_thread *thread = tp_inventory_thread(inventory, index);
        if (thread == NULL || thread->state == TP_THREAD_FREE)
            continue;
        for (unsigned i = 0; i < TP_PARCELS; i++)
            if (thread->parcels[i].page != NULL)
                inventory_follow_chain(inventory, inventory_address(thread->parcels[i].first),
                                       thread->parcels[i].count);
        inventory_follow_mail(inventory, inventory_address(thread->bag.first));
        inventory_follow_mail(inventory, inventory_address(thread->mail));
        inventory_empty_ring(inventory, inventory_address(thread->ring));
    }
}

/* --- making --------------------------------------------------------------------------------------------------- */

int tp_inventory_read_chart(struct tp_image *image, uintptr_t at, struct tp_chart *chart)
{
    static const uint32_t sizes[] = TP_CHART_SIZES;
    _Static_assert(sizeof(sizes) == sizeof(chart->sizes), "the same structures");
    bool is_one = at != 0 && tp_image_get(image, at, chart, sizeof(*chart)) && chart->version == TP_CHART_VERSION &&
                  memcmp(chart->sizes, sizes, sizeof(sizes)) == 0;
    return is_one ? 0 : -EPROTO;
}

static int inventory_read_charted(struct tp_inventory *inventory)
{
    struct tp_image *image = inventory->image;
    const struct tp_chart *chart = &inventory->chart;
    enum tp_backing backing;
    uintptr_t segment;
    bool is_read =
        tp_image_get(image, inventory_address(chart->space), &inventory->space, sizeof(inventory->space)) &&
        tp_image_get(image, inventory_address(chart->areas), inventory->areas, sizeof(inventory->areas)) &&
        tp_image_get(image, inventory_address(chart->backing), &backing, sizeof(backing)) &&
        tp_image_get(image, inventory_address(chart->special), &inventory->special, sizeof(inventory->special)) &&
        tp_image_get(image, inventory_address(chart->seal), &inventory->seal, sizeof(inventory->seal)) &&
        tp_image_get(image, inventory_address(chart->segment), &segment, sizeof(segment)) &&
        tp_image_get(image, segment, &inventory->segment, sizeof(inventory->segment));
    inventory->is_shared = is_read && backing == TP_BACKING_SHARED;
    return is_read ? 0 : -EIO;
}

static uint8_t inventory_state_of(const struct tagpool_segment_slot *slot)
{
    static const char loader[] = "ld-linux";
    if (!slot->used)
        return 0;
    if (slot->face == TAGPOOL_SEGMENT_API)
        return slot->tag == TAGPOOL_SCOPE_TAG ? TP_BLOCK_OF_SCOPE : 0;
    return memcmp(slot->name, loader, sizeof(loader) - 1) == 0 ? TP_BLOCK_OF_LOADER : 0;
}

static bool inventory_read_slots(struct tp_inventory *inventory)
{
    uintptr_t segment;
    struct tagpool_segment_slot *slots = inventory->desk->slots;
    size_t used = tp_min(inventory->segment.slots_used_total, TP_SLOT_COUNT);
    if (!tp_image_get(inventory->image, inventory_address(inventory->chart.segment), &segment, sizeof(segment)))
        return false;
    for (size_t begin = 0; begin < used; begin += INVENTORY_CHUNK) {
        size_t count = tp_min(INVENTORY_CHUNK, used - begin);
        uintptr_t at = segment + inventory->segment.slots_offset + begin * sizeof(slots[0]);
        if (!tp_image_get(inventory->image, at, slots, count * sizeof(slots[0])))
            return false;
        for (size_t i = 0; i < count; i++)
            inventory->slot_states[begin + i] = inventory_state_of(&slots[i]);
    }
    return tp_image_get(inventory->image, inventory_address(inventory->chart.track_turns), inventory->turns,
                        used * sizeof(inventory->turns[0]));
}

static void inventory_read_threads(struct tp_inventory *inventory)
{
    for (size_t index = 0; index < inventory->thread_count; index++) {
        const struct tp_thread *thread = tp_inventory_thread(inventory, index);
        if (thread == NULL)
            inventory->thread_count = index; /* there are no more */
        else
            inventory->frozen[index] = thread->state == TP_THREAD_FROZEN;
    }
}

static bool inventory_is_sound(const struct tp_inventory *inventory)
{
    return inventory->space.unit_count <= UINT64_C(1) << 31 &&
           inventory->areas[TP_AREA_THREADS].committed / TP_THREAD_STRIDE <= UINT64_C(1) << 20;
}

static int inventory_set_desk(struct tp_inventory *inventory)
{
    struct tp_image *image = inventory->image;
    inventory->thread_count = inventory->areas[TP_AREA_THREADS].committed / TP_THREAD_STRIDE;
    inventory->desk = image->memory(image, sizeof(*inventory->desk));
    inventory->slot_states = image->memory(image, TP_SLOT_COUNT);
    inventory->turns = image->memory(image, TP_SLOT_COUNT * sizeof(inventory->turns[0]));
    inventory->frozen = image->memory(image, inventory->thread_count + 1);
    bool is_there = inventory->desk != NULL && inventory->slot_states != NULL && inventory->turns != NULL;
    return is_there && inventory->frozen != NULL ? 0 : -ENOMEM;
}

/* All states are zero: no block is known to be free yet. */
static int inventory_number(struct tp_inventory *inventory)
{
    inventory->node_count = inventory->block_count + (inventory->records != NULL ? inventory->special.records_used : 0);
    inventory->state = inventory->image->memory(inventory->image, inventory->node_count + 1);
    return inventory->state != NULL ? 0 : -ENOMEM;
}

int tp_inventory_make(struct tp_inventory *inventory, struct tp_image *image, uintptr_t chart)
{
    memset(inventory, 0, sizeof(*inventory));
    inventory->image = image;
    int error = tp_inventory_read_chart(image, chart, &inventory->chart);
    if (error == 0)
        error = inventory_read_charted(inventory);
    if (error == 0)
        error = inventory_is_sound(inventory) ? inventory_set_desk(inventory) : -EPROTO;
    if (error == 0) {
        inventory_read_threads(inventory);
        error = inventory_read_slots(inventory) ? 0 : -EIO;
    }
    for (unsigned region = 0; error == 0 && region < TAGPOOL_SEGMENT_REGIONS; region++)
        error = inventory_read_region(inventory, region);
    if (error == 0)
        error = inventory_read_special(inventory);
    if (error == 0)
        error = inventory_number(inventory);
    if (error != 0)
        return error;
    inventory_look_at_pages(inventory);
    inventory_look_at_records(inventory);
    inventory_open_mail(inventory);
    return 0;
}

/* --- what is there -------------------------------------------------------------------------------------------- */

static const struct tp_inventory_page *inventory_page_of(const struct tp_inventory *inventory, size_t unit)
{
    for (unsigned number = 0; number < TAGPOOL_SEGMENT_REGIONS; number++) {
        const struct tp_inventory_region *region = &inventory->regions[number];
        if (unit - region->first < region->count) {
            const struct tp_inventory_page *page = &region->pages[unit - region->first];
            return page - page->back;
        }
    }
    return NULL;
}

static bool inventory_is_start(const struct tp_inventory *inventory, uint64_t number, size_t within)
{
    uint8_t state = inventory->state[number];
    return within == 0 || (within == TP_SCOPE_OFFSET && (state & TP_BLOCK_OF_SCOPE) != 0) ||
           (within == TP_LOADER_OFFSET && (state & TP_BLOCK_OF_LOADER) != 0);
}

static bool inventory_find_block(const struct tp_inventory *inventory, uintptr_t address,
                                 struct tp_inventory_node *node)
{
    const struct tp_inventory_page *page =
        inventory_page_of(inventory, (address - inventory->space.base) >> TP_UNIT_SHIFT);
    size_t within;
    if (page == NULL || page->count == 0 || !page_index(page, address - page->start, &node->index, &within))
        return false;
    node->page = page;
    node->number = page->first + node->index;
    node->at = address - within;
    node->size = page->size;
    node->is_start = inventory_is_start(inventory, node->number, within);
    return true;
}

static bool inventory_find_record(const struct tp_inventory *inventory, uintptr_t address,
                                  struct tp_inventory_node *node)
{
    uint32_t index = inventory->map[(address - inventory->special.base) >> TP_OS_PAGE_SHIFT];
    if (index == 0 || index >= inventory->special.records_used)
        return false;
    const struct tp_special *special = &inventory->records[index];
    size_t within = address - inventory_address(special->block);
    node->page = NULL;
    node->index = index;
    node->number = inventory->block_count + index;
    node->at = inventory_address(special->block);
    node->size = special->size;
    node->is_start = inventory_is_start(inventory, node->number, within);
    return within <= special->size;
}

bool tp_inventory_find(const struct tp_inventory *inventory, uintptr_t address, struct tp_inventory_node *node)
{
    if (address - inventory->space.base < inventory->space.unit_count << TP_UNIT_SHIFT)
        return inventory_find_block(inventory, address, node);
    return inventory->records != NULL && address - inventory->special.base < inventory->special.used &&
           inventory_find_record(inventory, address, node);
}

const struct tp_inventory_page *tp_inventory_next(const struct tp_inventory *inventory,
                                                  const struct tp_inventory_page *page)
{
    for (unsigned number = 0; number < TAGPOOL_SEGMENT_REGIONS; number++) {
        const struct tp_inventory_region *region = &inventory->regions[number];
        const struct tp_inventory_page *next = region->pages, *end = region->pages + region->count;
        if (page != NULL && (page < next || page >= end))
            continue;
        for (next = page != NULL ? page + 1 : next; next < end; next++)
            if (next->count != 0)
                return next;
        page = NULL;
    }
    return NULL;
}

static void inventory_each_block(const struct tp_inventory *inventory,
                                 void (*each)(const struct tp_inventory_node *node, void *argument), void *argument)
{
    const struct tp_inventory_page *page = NULL;
    while ((page = tp_inventory_next(inventory, page)) != NULL)
        for (uint32_t i = 0; i < page->count; i++) {
            const struct tp_inventory_node node = {page->first + i, page_block(page, i), page->size, page, i, true};
            if ((inventory->state[node.number] & TP_BLOCK_FREE) == 0)
                each(&node, argument);
        }
}

void tp_inventory_each(const struct tp_inventory *inventory,
                       void (*each)(const struct tp_inventory_node *node, void *argument), void *argument)
{
    inventory_each_block(inventory, each, argument);
    for (uint64_t number = inventory->block_count + 1; number < inventory->node_count; number++) {
        uint32_t index = (uint32_t)(number - inventory->block_count);
        const struct tp_special *special = &inventory->records[index];
        const struct tp_inventory_node node = {number, inventory_address(special->block), special->size, NULL, index,
                                               true};
        if ((inventory->state[number] & TP_BLOCK_FREE) == 0)
            each(&node, argument);
    }
}

/* What a hardened block was asked for with. */
static size_t inventory_asked(const struct tp_inventory *inventory, const struct tp_inventory_node *node)
{
    const struct tp_inventory_page *page = node->page;
    struct tp_seal seal;
    uint64_t word;
    bool is_sealed = inventory->seal.on && page->watch == 0 && !page->is_large;
    if (!is_sealed || !tp_image_get(inventory->image, node->at + page->size - sizeof(word), &word, sizeof(word)))
        return node->size;
    bool is_read = tp_seal_decode(&inventory->seal, node->at, word, page->size, &seal);
    return is_read ? page->size - seal.slop : node->size;
}

static bool inventory_read_tracks(struct tp_inventory *inventory, const struct tp_inventory_page *page)
{
    struct tp_inventory_desk *desk = inventory->desk;
    if (desk->tracked == page)
        return true;
    desk->tracked = NULL;
    if (!tp_image_get(inventory->image, page->tracks, desk->tracks, page->count * sizeof(desk->tracks[0])))
        return false;
    desk->tracked = page;
    return true;
}

/* As tp_track_find. */
static void inventory_describe_tracked(struct tp_inventory *inventory, const struct tp_inventory_node *node,
                                       struct tp_inventory_details *details)
{
    const struct tp_inventory_page *page = node->page;
    struct tp_track track = page->large_track;
    if (!page->is_large && (page->tracks == 0 || !inventory_read_tracks(inventory, page)))
        return;
    if (!page->is_large)
        track = inventory->desk->tracks[node->index];
    if (track.stack == 0 || track.turn == 0 || track.turn != inventory->turns[details->slot])
        return;
    details->stack = track.stack;
    details->size = page->is_large ? page->size - track.size : track.size;
}

static void inventory_describe_watched(const struct tp_inventory *inventory, const struct tp_inventory_node *node,
                                       struct tp_inventory_details *details)
{
    const struct tp_watch *watch = &inventory->desk->watch[node->index];
    details->size = watch->size;
    details->stack = inventory->desk->who[node->index].alloc_stack;
    details->life = watch->life;
}

bool tp_inventory_describe(struct tp_inventory *inventory, const struct tp_inventory_node *node,
                           struct tp_inventory_details *details)
{
    const struct tp_inventory_page *page = node->page;
    *details = (struct tp_inventory_details){.size = node->size};
    if (page == NULL) {
        details->slot = inventory->records[node->index].slot;
        details->stack = inventory->records[node->index].alloc_stack;
        return details->slot < TP_SLOT_COUNT;
    }
    details->slot = page->slot;
    details->size = inventory_asked(inventory, node);
    details->is_unsure = page->is_unsure;
    if (page->slot == TAGPOOL_SEGMENT_NO_SLOT && !inventory_read_tables(inventory, page))
        return false;
    if (page->slot == TAGPOOL_SEGMENT_NO_SLOT)
        details->slot = inventory->desk->side[node->index] & ~TP_SIDE_FREED;
    if (details->slot >= TP_SLOT_COUNT)
        return false;
    if (page->watch != 0)
        inventory_describe_watched(inventory, node, details);
    else
        inventory_describe_tracked(inventory, node, details);
    return true;
}

const struct tp_thread *tp_inventory_thread(const struct tp_inventory *inventory, size_t index)
{
    struct tp_thread *thread = &inventory->desk->thread;
    uintptr_t at = inventory_address(inventory->areas[TP_AREA_THREADS].base) + index * TP_THREAD_STRIDE;
    return tp_image_get(inventory->image, at, thread, offsetof(struct tp_thread, slots)) ? thread : NULL;
}
