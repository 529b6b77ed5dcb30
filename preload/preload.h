/*
 * What the faces of the preload module share.
 */
#ifndef TP_PRELOAD_H
#define TP_PRELOAD_H

#include "fast.h"

#define PRELOAD_ALIGNMENT 16

#define EXPORT __attribute__((visibility("default")))

/* Another name of an entry point, with the same promises to the compiler. */
#define ALIAS(name, target)                                                                                            \
    extern __typeof__(target) name __attribute__((visibility("default"), alias(#target), copy(target)))

/* A block for the caller of the entry point this stands in, or NULL: take the slow path. */
#define PRELOAD_FAST(size)                                                                                             \
    tp_alloc_fast(tp_site_key(TP_KEY_CALL, tp_site_call_value((uintptr_t)__builtin_return_address(0))),                \
                  TP_TABLE_PACKED, (size))

/* errno ENOMEM and NULL when memory is exhausted. */
void *preload_alloc_slow(size_t size, size_t alignment, struct tp_call call, enum tagpool_report_face face);

#endif
