#include "iova.h"
#include "lock.h"

static struct tp_iova *iova_ranges;

/* The end of a range is what the next one may begin with. */
static uint64_t iova_end(const struct tp_iova *range)
{
    return range->base + range->size;
}

/* The place in the list behind the first gap of this size from *base on, which moves to where that begins. */
static struct tp_iova **iova_find_gap(uint64_t *base, uint64_t size)
{
    struct tp_iova **link = &iova_ranges;
    while (*link != NULL && (*link)->base < *base + size) {
        if (iova_end(*link) > *base)
            *base = iova_end(*link);
        link = &(*link)->next;
    }
    return link;
}

static bool iova_insert(struct tp_iova *range, uint64_t size, uint64_t base, uint64_t last)
{
    struct tp_iova **link = iova_find_gap(&base, size);
    if (base > last || size - 1 > last - base)
        return false;
    range->base = base;
    range->size = size;
    range->next = *link;
    tp_publish(link, range); /* V2 */
    return true;
}

bool tp_iova_take(struct tp_iova *range, uint64_t size, uint64_t minimum, uint64_t maximum)
{
    uint64_t last = maximum < TP_IOVA_END ? maximum : TP_IOVA_END - 1;
    if (minimum > last || size > TP_IOVA_END)
        return false;
    uint64_t base = tp_round_up(tp_max(minimum, TP_IOVA_FIRST), TP_OS_PAGE);
    tp_lock(TP_LOCK_IOVA);
    bool taken = iova_insert(range, size, base, last);
    tp_unlock(TP_LOCK_IOVA);
    return taken;
}

void tp_iova_give(struct tp_iova *range)
{
    tp_lock(TP_LOCK_IOVA);
    struct tp_iova **link = &iova_ranges;
    while (*link != range)
        link = &(*link)->next;
    tp_publish(link, range->next);
    tp_unlock(TP_LOCK_IOVA);
}
