/*
 * Spans: runs of units, handed out to pages and large blocks, taken back, and returned to the system.
 *
 * Each pool is a region that grows behind a watermark.  Free runs lie in bins by length, apart for dirty ones (memory
 * behind them, used first) and clean ones (none).  The descriptor of a run's first unit says how long it is and that
 * of its last unit as well, so that neighbours of the same state merge in constant time.
 *
 * S1  Two free runs of the same state never touch.
 * S2  A unit below the watermark is in exactly one free run, page or large block.
 * S3  Dirty runs that lay free for TP_SPAN_KEEP_MS go back to the system at a later slow call of any thread.
 *     (There is no bound on them before that: measured, it costs page faults and does not lower the peak.)
 * S4  touched_pages of a unit is never less than its OS pages that have memory behind them.
 *
 * Lock: TP_LOCK_SPANS.
 */
#ifndef TP_SPAN_H
#define TP_SPAN_H

#include "page.h"

#define TP_SPAN_KEEP_MS 2000

/*
 * `units` consecutive units of a pool (region: 0 nonpaged, 1 paged), the first at a multiple of align_units.  The
 * descriptor returned has owner words of TP_OWNER_NONE, used 0, units and region set, and is_new where no memory is
 * behind the span.  NULL when the pool or the system has no more.
 */
struct tp_page *tp_span_alloc(unsigned region, size_t units, size_t align_units);

/* Take a span back; its owner words must be TP_OWNER_NONE already. */
void tp_span_free(struct tp_page *span);

/* Make a span longer in place if the units behind it are free; false when they are not. */
bool tp_span_extend(struct tp_page *span, size_t units);

/* Give back what lay free for long enough.  Taking and freeing spans does it too; this is for those who do neither. */
void tp_span_tick(void);

/* Give all dirty runs back to the system; the number of bytes. */
size_t tp_span_trim(void);

/* First units never used yet: all others were given out once.  By region. */
size_t tp_span_watermark(unsigned region);
size_t tp_span_region_first(unsigned region);

/* Bytes of spans that are handed out, and of dirty free runs. */
size_t tp_span_used_bytes(void);
size_t tp_span_dirty_bytes(void);

/* In a child of a raw clone: another thread may have been in here, so forget all free runs. */
void tp_span_forget(void);

#endif
