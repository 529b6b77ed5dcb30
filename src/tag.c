#include "tag.h"
#include "lock.h"

#include <string.h>

struct tp_tag tp_tags[TP_SLOT_COUNT];

/* Open addressing over (tag, layout) for API slots and over the name's hash for the others. */
#define TAG_INDEX_SIZE (2 * TP_SLOT_COUNT)
static uint16_t tag_index[TAG_INDEX_SIZE];

#define TAG_OVERFLOW 0x3f3f3f3fu /* "????" */

static uint32_t tag_next_slot = TP_SLOT_FIRST;

static uint64_t tag_mix(uint64_t x)
{
    x ^= x >> 31;
    x *= UINT64_C(0x9e3779b97f4a7c15);
    return x ^ x >> 29;
}

static uint64_t tag_key(uint32_t tag, enum tp_layout layout)
{
    return tag_mix((uint64_t)tag << 8 | layout);
}

static uint64_t tag_name_key(const char *name)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    while (*name != '\0')
        hash = (hash ^ (unsigned char)*name++) * UINT64_C(0x100000001b3);
    return tag_mix(hash);
}

/* Names are told apart by 64 bits of hash: what stands in the segment is for readers alone. */
static bool tag_is(uint32_t slot, uint64_t key, const char *name)
{
    return tp_tags[slot].hash == key && (tp_tags[slot].face == TAGPOOL_SEGMENT_API) == (name == NULL);
}

/* The place in the index where a key is, or where it belongs. */
static uint16_t *tag_probe(uint64_t key, const char *name)
{
    size_t at = key % TAG_INDEX_SIZE;
    while (tag_index[at] != 0 && !tag_is(tag_index[at], key, name))
        at = (at + 1) % TAG_INDEX_SIZE;
    return &tag_index[at];
}

static void tag_publish(uint32_t slot, const char *name)
{
    struct tagpool_segment_slot *shared = &tp_segment_slots[slot];
    shared->tag = tp_tags[slot].tag;
    shared->kind = tp_tags[slot].region;
    shared->face = tp_tags[slot].face;
    if (name != NULL)
        strncpy(shared->name, name, TAGPOOL_SEGMENT_NAME - 1);
    tp_segment_slot_used(slot);
}

static void tag_fill(uint32_t slot, uint32_t tag, enum tp_layout layout, enum tagpool_segment_face face, uint64_t hash)
{
    tp_tags[slot].tag = tag;
    tp_tags[slot].layout = (uint8_t)layout;
    tp_tags[slot].region = layout == TP_LAYOUT_NONPAGED ? 0 : 1;
    tp_tags[slot].table = layout == TP_LAYOUT_MALLOC ? TP_TABLE_PACKED : TP_TABLE_POOL;
    tp_tags[slot].face = (uint8_t)face;
    tp_tags[slot].hash = hash;
}

uint16_t tp_tag_rules[TP_SLOT_COUNT];
uint32_t tp_tag_rules_on;
void (*tp_tag_made)(uint32_t slot);

static void tag_tell(uint32_t slot)
{
    if (tp_tag_made != NULL)
        tp_tag_made(slot);
}

static uint32_t tag_overflow(enum tp_layout layout)
{
    uint32_t slot = TP_SLOT_OVERFLOW + (uint32_t)layout;
    if (tp_tags[slot].tag == 0) {
        tag_fill(slot, TAG_OVERFLOW, layout, TAGPOOL_SEGMENT_API, 0);
        tag_publish(slot, "more tags than slots");
        tag_tell(slot);
        __atomic_fetch_or(&tp_segment->flags, TAGPOOL_SEGMENT_SLOTS_FULL, __ATOMIC_RELAXED);
    }
    return slot;
}

/* --- tags from names ------------------------------------------------------------------------------------------ */

static bool tag_is_word(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

/* The first letters of a name that tell it from others: of "libsqlite3.so.0" they are "sqli". */
static uint32_t tag_first_letters(const char *name)
{
    uint32_t tag = 0;
    int filled = 0;
    if (strncmp(name, "lib", 3) == 0 && tag_is_word(name[3]))
        name += 3;
    for (; *name != '\0' && filled < 4 && strncmp(name, ".so", 3) != 0; name++)
        if (tag_is_word(*name))
            tag |= (uint32_t)(unsigned char)*name << 8 * filled++;
    for (; filled < 4; filled++)
        tag |= (uint32_t)' ' << 8 * filled;
    return tag;
}

static bool tag_is_taken(uint32_t tag)
{
    for (uint32_t slot = TP_SLOT_FIRST; slot < tag_next_slot; slot++)
        if (tp_tags[slot].tag == tag)
            return true;
    return false;
}

/* Keep `keep` characters and write a number in base 36 into the rest. */
static uint32_t tag_numbered(uint32_t tag, int keep, uint32_t number)
{
    for (int i = 3; i >= keep; i--, number /= 36) {
        unsigned char digit = (unsigned char)"0123456789abcdefghijklmnopqrstuvwxyz"[number % 36];
        tag = (tag & ~(UINT32_C(0xff) << 8 * i)) | (uint32_t)digit << 8 * i;
    }
    return tag;
}

static uint32_t tag_unique(const char *name)
{
    static const uint32_t room[] = {36, 36 * 36, 36 * 36 * 36};
    uint32_t tag = tag_first_letters(name);
    if (!tag_is_taken(tag))
        return tag;
    for (int digits = 1; digits <= 3; digits++)
        for (uint32_t number = 0; number < room[digits - 1]; number++)
            if (!tag_is_taken(tag_numbered(tag, 4 - digits, number)))
                return tag_numbered(tag, 4 - digits, number);
    return TAG_OVERFLOW;
}

/* Sites are many: their tags are their numbers, so that making one does not search. */
static uint32_t tag_for(const char *name, enum tagpool_segment_face face, uint32_t slot)
{
    if (face == TAGPOOL_SEGMENT_SITE)
        return tag_numbered('@', 1, slot);
    return tag_unique(name);
}

/* --- the interface -------------------------------------------------------------------------------------------- */

void tp_tag_init(void)
{
    tp_segment_slots_ready(tag_next_slot);
}

static uint32_t tag_find_or_make(uint64_t key, const char *name, uint32_t tag, enum tp_layout layout,
                                 enum tagpool_segment_face face)
{
    uint16_t *place = tag_probe(key, name);
    if (*place != 0)
        return *place;
    if (tag_next_slot == TP_SLOT_COUNT || tp_segment_slots_ready(tag_next_slot + 1) != 0)
        return tag_overflow(layout);
    uint32_t slot = tag_next_slot;
    tag_fill(slot, face == TAGPOOL_SEGMENT_API ? tag : tag_for(name, face, slot), layout, face, key);
    tag_publish(slot, name);
    tag_tell(slot);
    tag_next_slot++;
    *place = (uint16_t)slot;
    return slot;
}

uint32_t tp_tag_count(void)
{
    return tp_peek(&tag_next_slot);
}

uint32_t tp_tag_open(uint32_t tag, enum tp_layout layout)
{
    tp_lock(TP_LOCK_TAGS);
    uint32_t slot = tag_find_or_make(tag_key(tag, layout), NULL, tag, layout, TAGPOOL_SEGMENT_API);
    tp_unlock(TP_LOCK_TAGS);
    return slot;
}

uint32_t tp_tag_find(uint32_t tag, enum tp_layout layout)
{
    tp_lock(TP_LOCK_TAGS);
    uint32_t slot = *tag_probe(tag_key(tag, layout), NULL);
    tp_unlock(TP_LOCK_TAGS);
    return slot;
}

uint32_t tp_tag_open_named(const char *name, enum tagpool_segment_face face)
{
    tp_lock(TP_LOCK_TAGS);
    uint32_t slot = tag_find_or_make(tag_name_key(name), name, 0, TP_LAYOUT_MALLOC, face);
    tp_unlock(TP_LOCK_TAGS);
    return slot;
}

/* --- lookaside lists ------------------------------------------------------------------------------------------ */

/* Slots of lists that ended, chained by the next one's number where the hash would be. */
static uint32_t tag_free_lookaside;

static uint32_t tag_take_slot(void)
{
    uint32_t slot = tag_free_lookaside;
    if (slot != 0) {
        tag_free_lookaside = (uint32_t)tp_tags[slot].hash;
        return slot;
    }
    if (tag_next_slot == TP_SLOT_COUNT || tp_segment_slots_ready(tag_next_slot + 1) != 0)
        return TAGPOOL_SEGMENT_NO_SLOT;
    return tag_next_slot++;
}

uint32_t tp_tag_take_lookaside(uint32_t tag, enum tp_layout layout, uint32_t block_size)
{
    tp_lock(TP_LOCK_TAGS);
    uint32_t slot = tag_take_slot();
    if (slot != TAGPOOL_SEGMENT_NO_SLOT) {
        tag_fill(slot, tag, layout, TAGPOOL_SEGMENT_LOOKASIDE, 0);
        tp_segment_slots[slot].block_size = block_size;
        tag_publish(slot, NULL);
    }
    tp_unlock(TP_LOCK_TAGS);
    return slot;
}

static void tag_clear_numbers(struct tagpool_segment_slot *shared)
{
    const size_t from = offsetof(struct tagpool_segment_slot, allocs_total);
    memset((char *)shared + from, 0, offsetof(struct tagpool_segment_slot, name) - from);
}

/* Odd meanwhile: a reader must not take half of the old numbers for the next list's. */
void tp_tag_give_lookaside(uint32_t slot)
{
    struct tagpool_segment_slot *shared = &tp_segment_slots[slot];
    tp_lock(TP_LOCK_TAGS);
    __atomic_fetch_add(&shared->sequence, 1, __ATOMIC_SEQ_CST);
    tp_publish(&shared->used, 0);
    tag_clear_numbers(shared);
    __atomic_fetch_add(&shared->sequence, 1, __ATOMIC_SEQ_CST);
    tp_tags[slot].hash = tag_free_lookaside;
    tp_tags[slot].tag = 0;
    tag_free_lookaside = slot;
    tp_unlock(TP_LOCK_TAGS);
}

/* --- what is live --------------------------------------------------------------------------------------------- */

uint64_t tp_tag_note_live(uint32_t slot, uint64_t bytes)
{
    struct tp_tag *tag = &tp_tags[slot];
    uint64_t peak = tp_peek(&tag->peak_bytes);
    if (bytes <= peak)
        return peak;
    /* Two threads may write here; the lower of two peaks of the same moment is a peak as well. */
    tp_poke(&tag->peak_bytes, bytes);
    tp_poke(&tp_segment_slots[slot].peak_bytes, bytes);
    return bytes;
}

void tp_tag_charge(uint32_t slot, int64_t bytes)
{
    uint64_t live = __atomic_add_fetch(&tp_tags[slot].charged_bytes, (uint64_t)bytes, __ATOMIC_RELAXED);
    if (bytes > 0 && (int64_t)live > 0)
        tp_tag_note_live(slot, live);
}
