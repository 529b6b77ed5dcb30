/*
 * Large blocks: those that no class serves, each with a span of its own, whole OS pages from its first unit on.
 *
 * They count in their slot at once, and in meters with all their bytes.
 */
#ifndef TP_LARGE_H
#define TP_LARGE_H

#include "page.h"

struct tp_large_request {
    uint32_t slot;
    uint32_t account; /* charged for it already, or TP_ACCOUNT_NONE */
    size_t size;
    size_t alignment;
    bool *is_huge; /* not NULL: in memory of huge pages, at a multiple of one; whether the system had them all */
};

/* Requests beyond this cannot be served by any machine, and sums of sizes below it do not overflow. */
#define TP_LARGE_MAX ((size_t)1 << 46)

/* Block bytes of a request. */
TP_INLINE size_t tp_large_bytes(size_t size)
{
    return tp_round_up(tp_max(size, 1), TP_OS_PAGE);
}

/* NULL: no memory, or a limit came near.  *is_new: every byte of it is zero. */
void *tp_large_alloc(const struct tp_large_request *request, bool *is_new);

/* Give the account its charge back, and the memory. */
void tp_large_free(struct tp_page *span, void *p);

/*
 * The same in steps, so that the span can be kept from use for a while: the block is no more; what was in it reads as
 * zero; and the span serves others.
 */
void tp_large_end(struct tp_page *span, void *p);
void tp_large_wipe(struct tp_page *span);
void tp_large_give_wiped(struct tp_page *span);

/* Have the block serve another size where it lies; false: it must move, or may not grow. */
bool tp_large_resize(struct tp_page *span, size_t size);

/* p is not where the block begins. */
void tp_large_stop_middle(const struct tp_page *span, const void *p) __attribute__((noreturn, cold));

#endif
