/*
 * Tags: a slot for each (tag, kind) that anything was allocated under.
 *
 * A slot has a private half here and a public one in the segment; the program never decides by the public one.
 * Slots of tags are never taken back, so an index is good for the life of the process.
 *
 * T1  A slot's layout never changes.
 * T2  When the table is full, requests share the slot "????" of their layout, and readers are told.
 *
 * Lock: TP_LOCK_TAGS for making slots; charging is atomic.
 */
#ifndef TP_TAG_H
#define TP_TAG_H

#include "segment.h"
#include "sizeclass.h"

/* How blocks are laid out: which region they come from, and which table of classes. */
enum tp_layout { TP_LAYOUT_MALLOC, TP_LAYOUT_PAGED, TP_LAYOUT_NONPAGED, TP_LAYOUT_COUNT };

/* Slots that are no tags of their own: see site.c; the tag "????" of each layout; the first that is. */
#define TP_SLOT_TRANSPARENT 1u
#define TP_SLOT_OVERFLOW 2u
#define TP_SLOT_FIRST (TP_SLOT_OVERFLOW + TP_LAYOUT_COUNT)

/* What is held of a tag or of a pool, as limits need it (limit.h). */
struct tp_limit;
struct tp_meter {
    uint64_t bound;         /* never less than what callers hold */
    uint64_t trigger;       /* beyond it the meter turns near; 0: never */
    struct tp_limit *limit; /* NULL: none was ever set */
    uint8_t near;
};

struct tp_tag {
    uint32_t tag;
    uint8_t layout;
    uint8_t region; /* 0 nonpaged, 1 paged */
    uint8_t table;
    uint8_t face;
    uint64_t hash;          /* of the long name; API slots: of tag and layout */
    uint64_t charged_bytes; /* what pages and large blocks last said was live */
    uint64_t peak_bytes;
    struct tp_meter meter;
} __attribute__((aligned(TP_CACHE_LINE)));
extern struct tp_tag tp_tags[TP_SLOT_COUNT];

void tp_tag_init(void);

/* The slot of a tag that the programmer chose; made if need be.  Never fails (T2). */
uint32_t tp_tag_open(uint32_t tag, enum tp_layout layout);

/* The slot of that tag, or TAGPOOL_SEGMENT_NO_SLOT. */
uint32_t tp_tag_find(uint32_t tag, enum tp_layout layout);

/*
 * The slot for a long name (a module, a calling site), made if need be with a tag derived from the name and unique in
 * the process.  Never fails (T2).
 */
uint32_t tp_tag_open_named(const char *name, enum tagpool_segment_face face);

/*
 * A slot for a lookaside list, of whose tag and layout there may be many; TAGPOOL_SEGMENT_NO_SLOT when there are no
 * more. Given back, with nothing counted in it any more, it serves another list.
 */
uint32_t tp_tag_take_lookaside(uint32_t tag, enum tp_layout layout, uint32_t block_size);
void tp_tag_give_lookaside(uint32_t slot);

/* By slot: the rules of the verifier that it matches, a bit each; and whether there are any at all (verify.h). */
extern uint16_t tp_tag_rules[TP_SLOT_COUNT];
extern uint32_t tp_tag_rules_on;

/* What stands above is told of each slot that was made, under TP_LOCK_TAGS; or NULL. */
extern void (*tp_tag_made)(uint32_t slot);

/* One more than the highest slot that was ever used. */
uint32_t tp_tag_count(void);

/* Pages and large blocks say what changed in live bytes; keeps the peak. */
void tp_tag_charge(uint32_t slot, int64_t bytes);

/* Somebody counted: a peak is at least what was live then.  The peak. */
uint64_t tp_tag_note_live(uint32_t slot, uint64_t bytes);

/* Several tags share the slot: which one a block has is not known (T2). */
static inline bool tp_tag_is_shared(uint32_t slot)
{
    return slot >= TP_SLOT_OVERFLOW && slot < TP_SLOT_FIRST;
}

/* The verifier is to see each request. */
TP_INLINE bool tp_tag_is_concerned(uint32_t slot)
{
    return TP_UNLIKELY(tp_peek(&tp_tag_rules_on) != 0) && tp_peek(&tp_tag_rules[slot]) != 0;
}

static inline const struct tp_class_table *tp_tag_classes(uint32_t slot)
{
    return &tp_class_tables[tp_tags[slot].table];
}

#endif
