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

/*
 * A function behind this module that has the name of one here.  dlsym takes the loader's locks and may allocate, so
 * what a signal handler or a child of vfork may call is looked up in a constructor.
 */
struct preload_next {
    const char *name;
    void *function; /* NULL: not looked up yet */
};
void *preload_look_up(struct preload_next *next);
void preload_look_up_all(struct preload_next *next, size_t count);

TP_INLINE void *preload_find(struct preload_next *next)
{
    void *function = tp_peek(&next->function);
    return TP_LIKELY(function != NULL) ? function : preload_look_up(next);
}

/* errno ENOMEM and NULL when memory is exhausted. */
void *preload_alloc_slow(size_t size, size_t alignment, struct tp_call call, enum tagpool_report_face face);

#endif
