#include "budget.h"
#include "figures.h"
#include "os.h"

/* The first requests of a site. */
#define BUDGET_FIRST 16u

/* A site with so many requests is looked into: one request in so many. */
#define BUDGET_HOT 4096u
#define BUDGET_LOOK 16u
#define BUDGET_FRAMES 3u

#define BUDGET_SITES_LOG 14

/* Of blocks in special pool, one in so many is measured; what takes longer than this was something else. */
#define BUDGET_MEASURED 16u
#define BUDGET_LONGEST_NS 100000u

/* Requests of a site between two looks at the clock, and time between two looks at what is watched. */
#define BUDGET_REQUESTS 4096u
#define BUDGET_LOOK_NS 5000000u

/*
 * Watching takes about so long, a block from its beginning to its end (measured: 110 to 130), and so much of the
 * program's time it may take unless more is given for special pool.  Of hot sites one block in two is watched then.
 */
#define BUDGET_WATCH_NS 120u
#define BUDGET_WATCH_PERCENT 45u

/* The share of requests beyond the first ones, in 1/256 of BUDGET_FIRST. */
#define BUDGET_SHARE_ONE 256u
#define BUDGET_SHARE_MOST (1u << 20)

/* Requests of a site, and the number of the next one whose turn it is. */
static struct budget_site {
    uint32_t count;
    uint32_t next;
} budget_sites[1u << BUDGET_SITES_LOG];

static uint32_t budget_percent = TP_BUDGET_PERCENT;
static bool budget_is_short; /* of hot sites one block in two is watched */
static uint32_t budget_share = BUDGET_SHARE_ONE;
static bool budget_is_used;
static uint32_t budget_blocks;
static uint64_t budget_spent_ns;

void tp_budget_configure(uint32_t percent)
{
    budget_percent = percent;
}

/* --- time ----------------------------------------------------------------------------------------------------- */

/* Nothing, where nobody asks for a budget. */
uint64_t tp_budget_begin(void)
{
    if (!tp_peek(&budget_is_used))
        return 0;
    uint32_t blocks = tp_peek(&budget_blocks);
    tp_poke(&budget_blocks, blocks + 1);
    return blocks % BUDGET_MEASURED == 0 ? tp_os_thread_cpu_ns() : 0;
}

void tp_budget_end(uint64_t began)
{
    if (TP_LIKELY(began == 0))
        return;
    uint64_t passed = tp_min(tp_os_thread_cpu_ns() - began, BUDGET_LONGEST_NS);
    __atomic_fetch_add(&budget_spent_ns, passed * BUDGET_MEASURED, __ATOMIC_RELAXED);
}

/* Twice as many next time, or half. */
static void budget_adjust(uint64_t now_ns)
{
    uint32_t share = tp_peek(&budget_share);
    bool is_spent = tp_peek(&budget_spent_ns) > now_ns / 100 * budget_percent;
    share = is_spent ? share / 2 : (uint32_t)tp_min(tp_max(share, 1) * 2, BUDGET_SHARE_MOST);
    tp_poke(&budget_share, share);
}

/* What was watched, and what time it was, at the last look. */
static uint64_t budget_last_watched, budget_last_ns;

/* Whether watching `blocks` takes more than its share of so much time. */
static bool budget_is_over(uint64_t blocks, uint64_t ns)
{
    return blocks * BUDGET_WATCH_NS > ns / 100 * tp_max(BUDGET_WATCH_PERCENT, budget_percent);
}

/* Half of them as soon as it is too much; all again when twice as many would not be. */
static void budget_adjust_watching(uint64_t now_ns)
{
    uint64_t watched = tp_figures_watched();
    uint64_t blocks = watched - tp_peek(&budget_last_watched), ns = now_ns - tp_peek(&budget_last_ns);
    bool was_short = tp_peek(&budget_is_short);
    tp_poke(&budget_last_watched, watched);
    tp_poke(&budget_last_ns, now_ns);
    tp_poke(&budget_is_short, budget_is_over(was_short ? blocks * 2 + blocks / 4 : blocks, ns));
}

/* Two threads may look at once: then one of them sees little time, and the next look is a better one. */
static void budget_look(void)
{
    uint64_t now_ns = tp_os_cpu_ns();
    budget_adjust(now_ns);
    if (now_ns - tp_peek(&budget_last_ns) > BUDGET_LOOK_NS)
        budget_adjust_watching(now_ns);
}

/* --- sites ---------------------------------------------------------------------------------------------------- */

TP_INLINE struct budget_site *budget_site_of(uint64_t key, size_t size)
{
    unsigned log = 64 - (unsigned)__builtin_clzll(size | 1);
    return &budget_sites[(key ^ (uint64_t)log << 48) * UINT64_C(0x9e3779b97f4a7c15) >> (64 - BUDGET_SITES_LOG)];
}

/* The first of those that came the same way further out. */
static bool budget_is_first_of_path(const struct tp_call *call, size_t size)
{
    uintptr_t frames[BUDGET_FRAMES];
    uint64_t key = 1;
    unsigned count = tp_stack_capture(call, frames, BUDGET_FRAMES);
    for (unsigned i = 0; i < count; i++)
        key = (key ^ frames[i]) * UINT64_C(0xff51afd7ed558ccd);
    struct budget_site *site = budget_site_of(key, size);
    uint32_t before = tp_peek(&site->count);
    tp_poke(&site->count, before + (before < BUDGET_FIRST));
    return before < BUDGET_FIRST;
}

/* How many requests after the count-th the next turn is, more or less, the same in every run. */
static uint32_t budget_distance(uint32_t count)
{
    uint64_t each = (uint64_t)count * BUDGET_SHARE_ONE / ((uint64_t)BUDGET_FIRST * tp_max(tp_peek(&budget_share), 1));
    uint64_t coin = count * UINT64_C(0x9e3779b97f4a7c15) >> 48;
    return (uint32_t)tp_min(1 + (each / 2 + each * coin / 65536), UINT32_MAX / 2);
}

/* The first ones; the one whose number was drawn; at hot sites those that come a new way. */
static TP_NOINLINE bool budget_is_turn(struct budget_site *site, uint32_t count, const struct tp_call *call,
                                       size_t size)
{
    tp_poke(&budget_is_used, true);
    if (count % BUDGET_REQUESTS == 0)
        budget_look();
    if (count < BUDGET_FIRST) {
        tp_poke(&site->next, count + 1);
        return true;
    }
    if (count >= tp_peek(&site->next)) {
        tp_poke(&site->next, count + budget_distance(count));
        return true;
    }
    return count >= BUDGET_HOT && budget_is_first_of_path(call, size);
}

/* By a coin for each: no rhythm of the program's keeps step. */
static bool budget_leaves(uint32_t count)
{
    uint32_t coin = count * UINT32_C(0x9e3779b1);
    return count >= BUDGET_HOT && (coin ^ coin >> 15) >> 31 != 0;
}

enum tp_budget_verdict tp_budget_decide(const struct tp_call *call, size_t size)
{
    struct budget_site *site = budget_site_of(call->pc, size);
    uint32_t count = tp_peek(&site->count);
    tp_poke(&site->count, count + 1);
    if (TP_UNLIKELY(count % BUDGET_LOOK == 0 || count >= tp_peek(&site->next)) &&
        budget_is_turn(site, count, call, size))
        return TP_BUDGET_SPECIAL;
    return tp_peek(&budget_is_short) && budget_leaves(count) ? TP_BUDGET_LEAVE : TP_BUDGET_WATCH;
}
