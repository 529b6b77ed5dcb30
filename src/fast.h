/*
 * The fast paths that all faces share: a hot malloc and free without a call, a lock or an atomic operation.
 */
#ifndef TP_FAST_H
#define TP_FAST_H

#include "alloc.h"

/* Pop a block of a known caller; NULL: take the slow path, which finds out why. */
TP_INLINE void *tp_alloc_fast(uint64_t key, enum tp_table_id table, size_t size)
{
    struct tp_heap *heap = tp_site_heap(tp_gate_self, key);
    if (TP_UNLIKELY(heap == NULL || size > TP_CLASS_MAX_SIZE))
        return NULL;
    struct tp_page *page = heap->page[tp_class_of(&tp_class_tables[table], size)];
    void *block = tp_page_pop(page);
    if (TP_LIKELY(block != NULL))
        tp_page_count_alloc(page);
    return block;
}

TP_INLINE void tp_free(void *block)
{
    size_t unit = tp_unit_of(block);
    if (TP_UNLIKELY(unit >= tp_space.unit_count)) {
        tp_free_slow(block);
        return;
    }
    uint64_t back = tp_peek(&tp_space.owners[unit]) ^ tp_gate_self->id;
    if (TP_UNLIKELY(back > TP_OWNER_BACK_MASK)) {
        tp_free_slow(block);
        return;
    }
    struct tp_page *page = &tp_space.pages[unit - back];
    tp_page_count_free(page);
    if (TP_UNLIKELY(tp_page_push(page, block)))
        tp_heap_emptied(page);
}

/* For calls of the malloc family: who called, by the address it will return to. */
#define TP_CALL_HERE()                                                                                                 \
    ((struct tp_call){(uintptr_t)__builtin_return_address(0), (uintptr_t)__builtin_dwarf_cfa()})

#endif
