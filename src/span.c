#include "span.h"
#include "lock.h"
#include "metadata.h"
#include "segment.h"

#include <string.h>

/* Bins: one for each length up to EXACT units, then one a doubling. */
#define SPAN_EXACT 32
#define SPAN_BINS 64

/* How many runs of a bin of unlike lengths are looked at for the best fit. */
#define SPAN_SEARCH 64

/* Calls between two looks at the clock. */
#define SPAN_CALLS_A_TICK 8

/*
 * Units that the watermark moves by: how often a growing heap makes a system call.  A small one doubles, from
 * SPAN_STEP_FIRST on: what a program writes far behind its blocks is then not far from where nothing is.
 */
#define SPAN_STEP 64
#define SPAN_STEP_FIRST 8

enum { SPAN_CLEAN, SPAN_DIRTY, SPAN_STATES };

struct span_bins {
    uint64_t filled; /* bit b: bin b has runs */
    struct tp_page *head[SPAN_BINS];
};

struct span_region {
    size_t first;     /* index of the region's first unit */
    size_t limit;     /* one past its last */
    size_t watermark; /* units from here on were never handed out */
    size_t committed; /* units up to here are usable */
    enum tp_area_id pool, pages, owners;
    struct span_bins bins[SPAN_STATES];
};

static struct span_region span_regions[TAGPOOL_SEGMENT_REGIONS];
static bool span_ready;
static size_t span_used_units;
static size_t span_dirty_units;
static uint64_t span_next_purge_ms;
static uint64_t span_now_ms;
static uint32_t span_calls;

static void span_init(void)
{
    size_t paged = tp_areas[TP_AREA_POOL_PAGED].size >> TP_UNIT_SHIFT;
    size_t nonpaged = tp_areas[TP_AREA_POOL_NONPAGED].size >> TP_UNIT_SHIFT;
    span_regions[1] = (struct span_region){
        .first = 0, .limit = paged, .watermark = 0, .committed = 0,
        .pool = TP_AREA_POOL_PAGED, .pages = TP_AREA_PAGES_PAGED, .owners = TP_AREA_OWNERS_PAGED};
    span_regions[0] = (struct span_region){
        .first = paged, .limit = paged + nonpaged, .watermark = paged, .committed = paged,
        .pool = TP_AREA_POOL_NONPAGED, .pages = TP_AREA_PAGES_NONPAGED, .owners = TP_AREA_OWNERS_NONPAGED};
    span_ready = true;
}

static unsigned span_bin(size_t units)
{
    if (units <= SPAN_EXACT)
        return (unsigned)units - 1;
    return SPAN_EXACT - 6 + (63 - (unsigned)__builtin_clzl(units)) + 1;
}

static int span_state(const struct tp_page *run)
{
    return run->state == TP_UNIT_DIRTY ? SPAN_DIRTY : SPAN_CLEAN;
}

static bool span_is_free(const struct tp_page *run)
{
    uint8_t state = tp_peek(&run->state);
    return state == TP_UNIT_DIRTY || state == TP_UNIT_CLEAN;
}

static struct span_region *span_region_of(const struct tp_page *run)
{
    return &span_regions[run->region];
}

/* --- free runs ------------------------------------------------------------------------------------------------ */

/* Free memory that the system has not got back counts as the allocator's. */
static void span_count_dirty(ptrdiff_t units)
{
    tp_poke(&span_dirty_units, span_dirty_units + (size_t)units);
    __atomic_fetch_add(&tp_segment->touched_bytes, (uint64_t)(units * (ptrdiff_t)TP_UNIT), __ATOMIC_RELAXED);
}

static void span_insert(struct tp_page *run)
{
    struct span_bins *bins = &span_region_of(run)->bins[span_state(run)];
    unsigned bin = span_bin(run->units);
    run->prev = NULL;
    run->next = bins->head[bin];
    if (run->next != NULL)
        run->next->prev = run;
    bins->head[bin] = run;
    bins->filled |= UINT64_C(1) << bin;
    struct tp_page *last = run + run->units - 1;
    tp_poke(&last->state, run->state);
    last->units = run->units;
    last->region = run->region;
    if (span_state(run) == SPAN_DIRTY)
        span_count_dirty((ptrdiff_t)run->units);
}

static void span_remove(struct tp_page *run)
{
    struct span_bins *bins = &span_region_of(run)->bins[span_state(run)];
    unsigned bin = span_bin(run->units);
    if (run->next != NULL)
        run->next->prev = run->prev;
    if (run->prev != NULL)
        run->prev->next = run->next;
    else
        bins->head[bin] = run->next;
    if (bins->head[bin] == NULL)
        bins->filled &= ~(UINT64_C(1) << bin);
    if (span_state(run) == SPAN_DIRTY)
        span_count_dirty(-(ptrdiff_t)run->units);
    tp_poke(&run[run->units - 1].state, TP_UNIT_UNUSED);
    tp_poke(&run->state, TP_UNIT_UNUSED);
}

/*
 * The free run of the same state that ends just before, or begins at, a unit.  A neighbour that is in use has a state
 * of its owner's making, which is neither.
 */
static struct tp_page *span_neighbour_before(const struct tp_page *run, uint8_t state)
{
    if (tp_page_unit(run) == span_region_of(run)->first)
        return NULL;
    const struct tp_page *last = run - 1;
    return tp_peek(&last->state) == state ? (struct tp_page *)(uintptr_t)(run - last->units) : NULL;
}

static struct tp_page *span_neighbour_after(struct tp_page *run, uint8_t state)
{
    struct tp_page *after = run + run->units;
    if (tp_page_unit(after) >= span_region_of(run)->watermark)
        return NULL;
    return tp_peek(&after->state) == state ? after : NULL;
}

/* The age of a merged run is that of its longer part: small frees do not keep an old run from going back. */
static uint64_t span_merged_age(const struct tp_page *run, uint64_t now_ms, const struct tp_page *neighbour)
{
    return neighbour->units > run->units ? neighbour->freed_ms : now_ms;
}

/* Enter a run into its bin, merged with its neighbours (S1). */
static void span_release(struct tp_page *run, uint8_t state, uint64_t now_ms)
{
    struct tp_page *before = span_neighbour_before(run, state);
    struct tp_page *after = span_neighbour_after(run, state);
    if (after != NULL) {
        now_ms = span_merged_age(run, now_ms, after);
        run->units += after->units;
        span_remove(after);
    }
    if (before != NULL) {
        now_ms = span_merged_age(run, now_ms, before);
        span_remove(before);
        before->units += run->units;
        run = before;
    }
    tp_poke(&run->state, state);
    run->freed_ms = now_ms;
    span_insert(run);
}

/* --- search --------------------------------------------------------------------------------------------------- */

/* Units lost in front of an aligned start inside a run. */
static size_t span_skip(const struct tp_page *run, size_t align_units)
{
    size_t address = (uintptr_t)tp_unit_address(tp_page_unit(run)) >> TP_UNIT_SHIFT;
    return tp_round_up(address, align_units) - address;
}

static struct tp_page *span_best_of_bin(struct tp_page *run, size_t units, size_t align_units)
{
    struct tp_page *best = NULL;
    for (int looked = 0; run != NULL && looked < SPAN_SEARCH; run = run->next, looked++) {
        if (run->units < units + span_skip(run, align_units))
            continue;
        if (best == NULL || run->units < best->units)
            best = run;
    }
    return best;
}

static struct tp_page *span_find(struct span_bins *bins, size_t units, size_t align_units)
{
    uint64_t candidates = bins->filled & (~UINT64_C(0) << span_bin(units));
    for (; candidates != 0; candidates &= candidates - 1) {
        struct tp_page *run = span_best_of_bin(bins->head[__builtin_ctzll(candidates)], units, align_units);
        if (run != NULL)
            return run;
    }
    return NULL;
}

/* Cut the wanted units out of a free run and put the rest back. */
static struct tp_page *span_cut(struct tp_page *run, size_t units, size_t align_units)
{
    uint8_t state = run->state;
    uint64_t freed_ms = run->freed_ms;
    size_t total = run->units;
    size_t skip = span_skip(run, align_units);
    span_remove(run);
    struct tp_page *span = run + skip;
    span->region = run->region;
    if (skip > 0) {
        run->units = (uint32_t)skip;
        tp_poke(&run->state, state);
        span_insert(run);
    }
    if (total - skip > units) {
        struct tp_page *rest = span + units;
        rest->region = span->region;
        rest->units = (uint32_t)(total - skip - units);
        tp_poke(&rest->state, state);
        rest->freed_ms = freed_ms;
        span_insert(rest);
    }
    span->units = (uint32_t)units;
    span->is_new = state == TP_UNIT_CLEAN;
    return span;
}

/* --- the watermark -------------------------------------------------------------------------------------------- */

static void span_count_metadata(size_t units)
{
    size_t each = sizeof(struct tp_page) + sizeof(uint64_t) + sizeof(struct tagpool_segment_row);
    tp_metadata_count(units * each);
}

static size_t span_step(size_t units)
{
    size_t step = SPAN_STEP_FIRST;
    while (step < units && step < SPAN_STEP)
        step *= 2;
    return step;
}

static int span_commit(struct span_region *region, size_t limit)
{
    if (limit <= region->committed)
        return 0;
    size_t wanted = limit - region->first;
    limit = tp_min(region->first + tp_round_up(wanted, span_step(wanted)), region->limit);
    size_t units = limit - region->first;
    int error = tp_segment_rows_ready((unsigned)(region - span_regions), region->committed, limit);
    if (error == 0)
        error = tp_area_grow(region->owners, units * sizeof(uint64_t));
    if (error == 0)
        error = tp_area_grow(region->pages, units * sizeof(struct tp_page));
    if (error == 0)
        error = tp_area_grow(region->pool, units << TP_UNIT_SHIFT);
    if (error != 0)
        return error;
    span_count_metadata(limit - region->committed);
    region->committed = limit;
    return 0;
}

static struct tp_page *span_grow(struct span_region *region, size_t units, size_t align_units)
{
    size_t first = region->watermark;
    size_t address = (uintptr_t)tp_unit_address(first) >> TP_UNIT_SHIFT;
    size_t skip = tp_round_up(address, align_units) - address;
    if (units + skip > region->limit - first || span_commit(region, first + skip + units) != 0)
        return NULL;
    struct tp_page *run = &tp_space.pages[first];
    tp_publish(&region->watermark, first + skip + units); /* what is below it has its rows and descriptors */
    tp_segment_region_used((unsigned)(region - span_regions), region->first, region->watermark - region->first);
    struct tp_page *span = run + skip;
    span->region = (uint8_t)(region - span_regions);
    span->units = (uint32_t)units;
    span->is_new = 1;
    if (skip > 0) {
        run->region = span->region;
        run->units = (uint32_t)skip;
        span_release(run, TP_UNIT_CLEAN, 0);
    }
    return span;
}

/* --- back to the system --------------------------------------------------------------------------------------- */

static void span_purge(struct tp_page *run)
{
    span_remove(run);
    for (size_t i = 0; i < run->units; i++)
        run[i].touched_pages = 0;
    int error = tp_os_purge(tp_unit_address(tp_page_unit(run)), (size_t)run->units << TP_UNIT_SHIFT, tp_space_backing);
    span_release(run, error == 0 ? TP_UNIT_CLEAN : TP_UNIT_DIRTY, span_now_ms);
}

static void span_purge_bins(struct span_bins *bins, uint64_t freed_before_ms)
{
    for (unsigned bin = 0; bin < SPAN_BINS; bin++) {
        struct tp_page *next;
        for (struct tp_page *run = bins->head[bin]; run != NULL; run = next) {
            next = run->next;
            if (run->freed_ms < freed_before_ms)
                span_purge(run);
        }
    }
}

static void span_purge_all(uint64_t freed_before_ms)
{
    for (unsigned region = 0; region < TAGPOOL_SEGMENT_REGIONS; region++)
        span_purge_bins(&span_regions[region].bins[SPAN_DIRTY], freed_before_ms);
}

/* Every thread that takes or frees spans drives this (S3).  The clock is a system call: not each call asks it. */
static void span_tick(void)
{
    if (span_calls++ % SPAN_CALLS_A_TICK == 0)
        span_now_ms = tp_os_now_ms();
    if (span_now_ms < span_next_purge_ms)
        return;
    span_next_purge_ms = span_now_ms + TP_SPAN_KEEP_MS / 2;
    if (span_now_ms > TP_SPAN_KEEP_MS)
        span_purge_all(span_now_ms - TP_SPAN_KEEP_MS);
}

/* --- the interface -------------------------------------------------------------------------------------------- */

struct tp_page *tp_span_alloc(unsigned region_index, size_t units, size_t align_units)
{
    struct span_region *region = &span_regions[region_index];
    tp_lock(TP_LOCK_SPANS);
    if (TP_UNLIKELY(!span_ready))
        span_init();
    struct tp_page *span = span_find(&region->bins[SPAN_DIRTY], units, align_units);
    if (span == NULL)
        span = span_find(&region->bins[SPAN_CLEAN], units, align_units);
    span = span != NULL ? span_cut(span, units, align_units) : span_grow(region, units, align_units);
    if (span != NULL)
        tp_poke(&span_used_units, span_used_units + units);
    span_tick();
    tp_unlock(TP_LOCK_SPANS);
    return span;
}

void tp_span_free(struct tp_page *span)
{
    tp_lock(TP_LOCK_SPANS);
    tp_poke(&span_used_units, span_used_units - span->units);
    tp_poke(&span->state, TP_UNIT_UNUSED);
    span_release(span, span->is_new ? TP_UNIT_CLEAN : TP_UNIT_DIRTY, span_now_ms);
    span_tick();
    tp_unlock(TP_LOCK_SPANS);
}

/* Free units behind a span count whatever their state; a clean part only makes the span a mixture. */
static size_t span_free_behind(struct tp_page *span)
{
    struct tp_page *after = span + span->units;
    if (tp_page_unit(after) >= span_region_of(span)->watermark)
        return 0;
    return span_is_free(after) ? after->units : 0;
}

bool tp_span_extend(struct tp_page *span, size_t units)
{
    size_t more = units - span->units;
    bool done = false;
    tp_lock(TP_LOCK_SPANS);
    struct span_region *region = span_region_of(span);
    if (tp_page_unit(span) + span->units == region->watermark)
        done = span_grow(region, more, 1) != NULL;
    else if (span_free_behind(span) >= more)
        done = span_cut(span + span->units, more, 1) != NULL;
    if (done) {
        span->units = (uint32_t)units;
        tp_poke(&span_used_units, span_used_units + more);
    }
    tp_unlock(TP_LOCK_SPANS);
    return done;
}

void tp_span_tick(void)
{
    tp_lock(TP_LOCK_SPANS);
    if (span_ready)
        span_tick();
    tp_unlock(TP_LOCK_SPANS);
}

size_t tp_span_trim(void)
{
    tp_lock(TP_LOCK_SPANS);
    size_t before = span_dirty_units;
    span_purge_all(UINT64_MAX);
    size_t purged = before - span_dirty_units;
    tp_unlock(TP_LOCK_SPANS);
    return purged << TP_UNIT_SHIFT;
}

size_t tp_span_watermark(unsigned region)
{
    return __atomic_load_n(&span_regions[region].watermark, __ATOMIC_ACQUIRE);
}

size_t tp_span_region_first(unsigned region)
{
    return span_regions[region].first;
}

size_t tp_span_used_bytes(void)
{
    return tp_peek(&span_used_units) << TP_UNIT_SHIFT;
}

size_t tp_span_dirty_bytes(void)
{
    return tp_peek(&span_dirty_units) << TP_UNIT_SHIFT;
}

void tp_span_forget(void)
{
    for (unsigned region = 0; region < TAGPOOL_SEGMENT_REGIONS; region++)
        memset(span_regions[region].bins, 0, sizeof(span_regions[region].bins));
    span_dirty_units = 0;
}
