/*
 * Sites: on whose behalf a call is made, and the table in the gate that remembers it.
 *
 *   key (36 bits and more, xor the epoch)               gate's table               heap
 *     OS page of the return address (--tags=module)   ->  two entries a set  ->  pages, or "cold slot n"
 *     return address (--tags=site: the OS page is never entered)
 *     handle; tag and kind (tagpool.h)
 *     return address whose frame is known (transparent code)             ->  rule to the caller instead of a heap
 *
 * Code of a transparent library (libc, libstdc++, libglib, and what TAGPOOL_THROUGH names) counts for its caller: the
 * table says "look through", and the walk goes from frame to frame until a library is opaque.
 *
 * I1  An entry is used only under the epoch it was made for: the epoch is part of its key, until 2^25 of them have
 *     passed, and a slow call under another epoch clears the table.
 * I2  An entry's heap belongs to the gate's thread.
 */
#ifndef TP_SITE_H
#define TP_SITE_H

#include "frame.h"
#include "heap.h"
#include "segment.h"
#include "thread.h"

/*
 * The sort of a value is above the epoch.  Whole addresses, of frames and sites, reach into the epoch's bits: an
 * older entry is taken for one of them only where two addresses differ in those bits alone, and by just the epochs'
 * difference.
 */
#define TP_KEY_EPOCH_SHIFT 36
#define TP_KEY_CALL UINT64_C(0)
#define TP_KEY_FRAME (UINT64_C(1) << 61)
#define TP_KEY_HANDLE (UINT64_C(2) << 61)
#define TP_KEY_TAG (UINT64_C(3) << 61)
#define TP_KEY_SITE (UINT64_C(4) << 61)

/* --tags=site: calls are told apart by their return address, not by the OS page it lies in. */
extern TP_HIDDEN bool tp_site_by_address;

/* The value of a call's key.  The low bits of a value choose the set, so they are the ones that differ most. */
TP_INLINE uint64_t tp_site_call_value(uintptr_t pc)
{
    return pc >> TP_OS_PAGE_SHIFT;
}

/* Programmers' tags differ in any of their characters: a product's upper bits depend on all of them. */
TP_INLINE uint64_t tp_site_tag_value(uint32_t tag, enum tp_layout layout)
{
    return (uint64_t)layout << 32 | __builtin_bswap32(tag * UINT32_C(0x9e3779b1));
}

TP_INLINE uint64_t tp_site_key(uint64_t kind, uint64_t value)
{
    return (kind | value) ^ tp_peek(&tp_peek(&tp_segment_control)->epoch) << TP_KEY_EPOCH_SHIFT;
}

TP_INLINE struct tp_site_entry *tp_site_set(struct tp_gate *gate, uint64_t key)
{
    return &gate->sites[key % TP_GATE_SETS * TP_GATE_WAYS];
}

/* The entry that an earlier call made; NULL: ask tp_site_slot_of_*. */
TP_INLINE struct tp_site_entry *tp_site_find(struct tp_gate *gate, uint64_t key)
{
    struct tp_site_entry *set = tp_site_set(gate, key);
    if (TP_LIKELY(set[0].key == key))
        return &set[0];
    return set[1].key == key ? &set[1] : NULL;
}

/* In place of a size that a function was not given. */
#define TP_SIZE_UNTOLD SIZE_MAX

/*
 * The slot a call counts for; `thread` may be NULL.  Enters what it finds into the gate's table, so that the next such
 * call finds a heap there.
 */
uint32_t tp_site_slot_of_call(struct tp_thread *thread, const struct tp_call *call);
uint32_t tp_site_slot_of_tag(struct tp_thread *thread, uint32_t tag, enum tp_layout layout);
uint32_t tp_site_slot_of_handle(struct tp_thread *thread, uint32_t slot);

/* The file name of a library, the program's own for what has none. */
struct dl_find_object;
const char *tp_site_library_name(const struct dl_find_object *object);

/* What stands above is told when a thread sees another epoch, before it looks anything up; or NULL. */
extern void (*tp_site_switched)(uint64_t epoch);

/* Read TAGPOOL_TAGS and TAGPOOL_THROUGH. */
void tp_site_init(void);

/* A library was unloaded: what stood in its place may be another one's.  All threads look up anew. */
void tp_site_forget_all(void);

#endif
