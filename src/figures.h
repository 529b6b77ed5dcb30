/*
 * Figures: what the verifier has done, in the segment's header (<tagpool/segment.h>).
 *
 * Each of the first threads has a part of its own, and adds to it by plain instructions; all others share the last one.
 * What is written for each block is as little as can be: sums are made by who looks.
 */
#ifndef TP_FIGURES_H
#define TP_FIGURES_H

#include "thread.h"

#include <tagpool/report.h>

/* A request that a rule matched has ended: it got its block or not, or was made to fail. */
void tp_figures_note_end(size_t size, bool is_made, bool is_deliberate);

/* A block of special pool or a watched one was made; freed; special pool refused a request. */
void tp_figures_note_made(bool is_special, uint32_t region, size_t bytes);
void tp_figures_note_freed(uint32_t region, size_t bytes);
void tp_figures_note_refusal(void);

/* How much is live in all parts is looked at once in so many blocks of a part. */
#define TP_FIGURES_LOOK 64u

/* Make out the part of a thread that has one of its own; NULL: it has none. */
struct tagpool_segment_verifier *tp_figures_find(struct tp_gate *gate);
void tp_figures_note_peaks(uint32_t region);

/* The thread's own part; NULL: it shares one. */
TP_INLINE struct tagpool_segment_verifier *tp_figures_own(struct tp_gate *gate)
{
    struct tagpool_segment_verifier *own = gate->figures;
    return TP_LIKELY(own != NULL) ? own : tp_figures_find(gate);
}

/* What follows is for requests below an OS page of threads with a part of their own: the end, and the block as well. */
TP_INLINE void tp_figures_add_ordinary(struct tagpool_segment_verifier *own)
{
    tp_count(&own->succeeded_total, 1);
}

TP_INLINE void tp_figures_add_watched(struct tagpool_segment_verifier *own, uint32_t region, size_t bytes)
{
    uint64_t count = own->settled_total + 1;
    tp_publish(&own->settled_total, count);
    tp_count(&own->live_blocks[region], 1);
    tp_count(&own->live_bytes[region], bytes);
    if (TP_UNLIKELY(count % TP_FIGURES_LOOK == 0))
        tp_figures_note_peaks(region);
}

TP_INLINE void tp_figures_add_freed(struct tagpool_segment_verifier *own, uint32_t region, size_t bytes)
{
    tp_count(&own->live_blocks[region], (uint64_t)-1);
    tp_count(&own->live_bytes[region], 0 - (uint64_t)bytes);
}

/* Watched blocks that were made. */
uint64_t tp_figures_watched(void);

/* What all have done. */
void tp_figures_read(struct tagpool_report_counters *counters);

#endif
