#include "figures.h"
#include "segment.h"

/* The first threads have parts of their own; all others share the last one. */
#define FIGURES_SHARED (TAGPOOL_SEGMENT_VERIFIER_PARTS - 1)

struct tagpool_segment_verifier *tp_figures_find(struct tp_gate *gate)
{
    uint64_t index = (gate->id >> 4) - TP_OWNER_FIRST_THREAD;
    if (index >= FIGURES_SHARED)
        return NULL;
    return gate->figures = &tp_segment->verifier[index];
}

/* What a thread writes into its own part; into the one that is shared, by atomic operations. */
static uint64_t figures_count(struct tagpool_segment_verifier *own, size_t field, uint64_t n)
{
    if (TP_UNLIKELY(own == NULL)) {
        char *shared = (char *)&tp_segment->verifier[FIGURES_SHARED];
        return __atomic_add_fetch((uint64_t *)(shared + field), n, __ATOMIC_RELAXED);
    }
    uint64_t *counter = (uint64_t *)((char *)own + field);
    uint64_t value = *counter + n;
    tp_publish(counter, value);
    return value;
}

#define FIGURE(field) offsetof(struct tagpool_segment_verifier, field)

/* --- peaks ---------------------------------------------------------------------------------------------------- */

/* Of the field at this offset, over all parts. */
static uint64_t figures_sum(size_t field)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < TAGPOOL_SEGMENT_VERIFIER_PARTS; i++)
        sum += tp_peek((const uint64_t *)((const char *)&tp_segment->verifier[i] + field));
    return sum;
}

/* Two threads may write here: the lower of two peaks of the same moment is a peak as well. */
static void figures_raise_peak(uint64_t *peak, uint64_t live)
{
    if ((int64_t)live > 0 && live > tp_peek(peak))
        tp_poke(peak, live);
}

void tp_figures_note_peaks(uint32_t region)
{
    size_t word = region * sizeof(uint64_t);
    figures_raise_peak(&tp_segment->verified_peak_blocks[region], figures_sum(FIGURE(live_blocks) + word));
    figures_raise_peak(&tp_segment->verified_peak_bytes[region], figures_sum(FIGURE(live_bytes) + word));
}

/* --- notes ---------------------------------------------------------------------------------------------------- */

void tp_figures_note_end(size_t size, bool is_made, bool is_deliberate)
{
    struct tagpool_segment_verifier *own = tp_figures_own(tp_gate_self);
    if (is_deliberate)
        figures_count(own, FIGURE(failed_deliberately_total), 1);
    else
        figures_count(own, is_made ? FIGURE(succeeded_total) : FIGURE(failed_total), 1);
    if (size >= TP_OS_PAGE)
        figures_count(own, FIGURE(page_or_more_total), 1);
}

void tp_figures_note_made(bool is_special, uint32_t region, size_t bytes)
{
    struct tagpool_segment_verifier *own = tp_figures_own(tp_gate_self);
    size_t word = region * sizeof(uint64_t);
    figures_count(own, FIGURE(live_blocks) + word, 1);
    figures_count(own, FIGURE(live_bytes) + word, bytes);
    if (figures_count(own, is_special ? FIGURE(special_total) : FIGURE(watched_total), 1) % TP_FIGURES_LOOK == 0)
        tp_figures_note_peaks(region);
}

void tp_figures_note_freed(uint32_t region, size_t bytes)
{
    struct tagpool_segment_verifier *own = tp_figures_own(tp_gate_self);
    size_t word = region * sizeof(uint64_t);
    figures_count(own, FIGURE(live_blocks) + word, (uint64_t)-1);
    figures_count(own, FIGURE(live_bytes) + word, 0 - (uint64_t)bytes);
}

void tp_figures_note_refusal(void)
{
    figures_count(tp_figures_own(tp_gate_self), FIGURE(special_refused_total), 1);
}

/* --- reading -------------------------------------------------------------------------------------------------- */

uint64_t tp_figures_watched(void)
{
    return figures_sum(FIGURE(watched_total)) + figures_sum(FIGURE(settled_total));
}

void tp_figures_read(struct tagpool_report_counters *counters)
{
    uint64_t settled = figures_sum(FIGURE(settled_total));
    *counters = (struct tagpool_report_counters){
        .allocs_succeeded = figures_sum(FIGURE(succeeded_total)) + settled,
        .allocs_special = figures_sum(FIGURE(special_total)),
        .allocs_watched = tp_figures_watched(),
        .special_refused = figures_sum(FIGURE(special_refused_total)),
        .allocs_failed = figures_sum(FIGURE(failed_total)),
        .faults_injected = figures_sum(FIGURE(failed_deliberately_total)),
    };
    counters->allocs_attempted = counters->allocs_succeeded + counters->allocs_failed + counters->faults_injected;
}
