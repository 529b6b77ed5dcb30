#include "extent.h"
#include "os.h"

#include <sys/auxv.h>

/* Pages of a known extent, below the number of the page that it ends in. */
#define EXTENT_PAGES_BITS 28
#define EXTENT_PAGES ((UINT64_C(1) << EXTENT_PAGES_BITS) - 1)

/* Stacks whose extent is known at a time; one that is forgotten is asked about again. */
#define EXTENT_COUNT 256

/*
 * Pages to ask about before a pointer counts as one into another stack.  Coroutines that run close below the stack of
 * their thread pay for it at each walk.
 */
#define EXTENT_GAP_PAGES 32

static uint64_t extent_known[EXTENT_COUNT];
static uintptr_t extent_first_end;

/* The first thread's stack ends above this, and no frame lies so high. */
static uintptr_t extent_end_of_first(void)
{
    uintptr_t end = tp_peek(&extent_first_end);
    if (TP_LIKELY(end != 0))
        return end;
    end = (uintptr_t)getauxval(AT_RANDOM) & ~(uintptr_t)15;
    tp_poke(&extent_first_end, end);
    return end;
}

/* All pages from that of `sp` up to `low`, from above: the first that is none ends the stack. */
static bool extent_is_gapless(uintptr_t sp, uintptr_t low)
{
    while (low > sp) {
        low -= TP_OS_PAGE;
        if (!tp_os_is_readable(low))
            return false;
    }
    return true;
}

/* The first thread's own block is where any memory may join it.  Also in a child that another thread forked. */
static bool extent_may_grow(uintptr_t end)
{
    return end == tp_peek(&extent_first_end) || tp_os_thread_id() != tp_os_process_id();
}

static bool extent_reaches(uintptr_t end, uintptr_t sp)
{
    uint64_t end_page = end >> TP_OS_PAGE_SHIFT;
    uint64_t sp_page = sp >> TP_OS_PAGE_SHIFT;
    uint64_t *known = &extent_known[(end_page ^ end_page >> 8) % EXTENT_COUNT];
    uint64_t word = tp_peek(known);
    uint64_t low_page = word >> EXTENT_PAGES_BITS == end_page ? end_page - (word & EXTENT_PAGES) : end_page;
    if (TP_LIKELY(sp_page >= low_page))
        return true;
    if (low_page - sp_page > EXTENT_GAP_PAGES || end_page - sp_page > EXTENT_PAGES || !extent_may_grow(end) ||
        !extent_is_gapless(sp, low_page << TP_OS_PAGE_SHIFT))
        return false;
    tp_poke(known, end_page << EXTENT_PAGES_BITS | (end_page - sp_page)); /* E1 */
    return true;
}

void tp_extent_open(struct tp_extent *extent, uintptr_t sp)
{
    uintptr_t own = (uintptr_t)__builtin_thread_pointer();
    uintptr_t first = extent_end_of_first();
    if (sp < own && extent_reaches(own, sp))
        *extent = (struct tp_extent){sp, own, sp, true};
    else if (sp < first && extent_reaches(first, sp))
        *extent = (struct tp_extent){sp, first, sp, true};
    else
        *extent = (struct tp_extent){sp, sp, sp, false};
}

bool tp_extent_move(struct tp_extent *extent, uintptr_t address)
{
    if (extent->is_whole || address < extent->lowest || !tp_os_is_readable(address))
        return false;
    extent->begin = address & ~(TP_OS_PAGE - 1);
    extent->end = extent->begin + TP_OS_PAGE;
    return true;
}
