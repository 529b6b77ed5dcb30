#include "extent.h"
#include "os.h"

#include <sys/auxv.h>

/* Pages of a known extent, below the number of the page that it ends in. */
#define EXTENT_PAGES_BITS 28
#define EXTENT_PAGES ((UINT64_C(1) << EXTENT_PAGES_BITS) - 1)

/* Stacks whose extent is known at a time.  One that is forgotten is another stack until a call that is less deep. */
#define EXTENT_SETS 256
#define EXTENT_WAYS 4

/*
 * Pages to ask about before a pointer counts as one into another stack.  A thread's variables lie between its first
 * frame and its end.  Coroutines that run as close below the stack of their thread pay for it at each walk.
 */
#define EXTENT_GAP_PAGES 256

static uint64_t extent_known[EXTENT_SETS][EXTENT_WAYS];
static uintptr_t extent_first_end;

_Static_assert(EXTENT_SETS == 1 << 8, "extent_word takes 8 bits");

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

/* The end's own word; else an unused one, or one of another end to take. */
static uint64_t *extent_word(uint64_t end_page)
{
    uint64_t *set = extent_known[(end_page * UINT64_C(0x9e3779b97f4a7c15)) >> 56];
    uint64_t *other = &set[end_page % EXTENT_WAYS];
    for (int way = 0; way < EXTENT_WAYS; way++) {
        uint64_t word = tp_peek(&set[way]);
        if (TP_LIKELY(word >> EXTENT_PAGES_BITS == end_page))
            return &set[way];
        if (word == 0)
            other = &set[way];
    }
    return other;
}

static bool extent_reaches(uintptr_t end, uintptr_t sp)
{
    uint64_t end_page = end >> TP_OS_PAGE_SHIFT;
    uint64_t sp_page = sp >> TP_OS_PAGE_SHIFT;
    uint64_t *known = extent_word(end_page);
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
