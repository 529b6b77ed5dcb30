/*
 * The fast paths that all faces share: a hot malloc and free without a call, a lock or an atomic operation.
 */
#ifndef TP_FAST_H
#define TP_FAST_H

#include "block.h"
#include "free.h"

/* In an entry function: who called it, by the address it will return to. */
#define TP_CALL_HERE() ((struct tp_call){(uintptr_t)__builtin_return_address(0), (uintptr_t)__builtin_dwarf_cfa()})

/* Pop a block of a known caller; NULL: take the slow path, which finds out why. */
TP_INLINE void *tp_alloc_fast(uint64_t key, enum tp_table_id table, size_t size)
{
    struct tp_site_entry *entry = tp_site_find(tp_gate_self, key);
    unsigned class;
    if (TP_UNLIKELY(entry == NULL))
        return NULL;
    if (TP_LIKELY(size <= TP_CLASS_SMALL))
        class = tp_class_tables[table].small[(size + 15) >> 4];
    else if (size <= TP_CLASS_MAX_SIZE)
        class = tp_class_tables[table].medium[(size + 255) >> 8];
    else
        return NULL;
    struct tp_page *page = entry->heap->page[class];
    void *block = tp_page_pop(page);
    if (TP_LIKELY(block != NULL))
        tp_page_count_alloc(page);
    return block;
}

/* For the verifier: `face` is the function called, `size` what it was given for the block's, or TP_SIZE_UNTOLD. */
TP_INLINE void tp_free_sized(void *block, enum tagpool_report_face face, size_t size)
{
    size_t unit = tp_unit_of(block);
    if (TP_UNLIKELY(unit >= tp_space.unit_count)) {
        tp_free_called(block, face, size, TP_CALL_HERE());
        return;
    }
    uint64_t back = tp_peek(&tp_space.owners[unit]) ^ tp_gate_self->id;
    if (TP_UNLIKELY(back > TP_OWNER_BACK_MASK)) {
        tp_free_called(block, face, size, TP_CALL_HERE());
        return;
    }
    struct tp_page *page = &tp_space.pages[unit - back];
    tp_page_count_free(page);
    if (TP_UNLIKELY(tp_page_push(page, block)))
        tp_heap_woken(page);
}

TP_INLINE void tp_free(void *block, enum tagpool_report_face face)
{
    tp_free_sized(block, face, TP_SIZE_UNTOLD);
}

#endif
