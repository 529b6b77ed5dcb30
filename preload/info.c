/*
 * What programs ask an allocator about itself: mallinfo and kin, in terms of the segment's numbers.
 */
#include "preload.h"

#include "census.h"
#include "harden.h"
#include "span.h"

#include <errno.h>
#include <limits.h>
#include <malloc.h>
#include <stdio.h>

/* mallinfo is deprecated for callers; programs that still call it must get ours. */
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

/* Sums over all slots, in steps that fit the stack. */
enum { INFO_STEP = 32 };

static struct tp_census_sum info_total(void)
{
    struct tp_census_view view;
    struct tp_census_sum total = {0};
    struct tp_census_sum sums[INFO_STEP];
    tp_thread_self();
    if (tp_census_open(&view, tp_segment, tp_segment_size()) != 0)
        return total;
    uint32_t limit = tp_census_slot_limit(&view);
    for (uint32_t first = 0; first < limit; first += INFO_STEP) {
        uint32_t count = (uint32_t)tp_min(INFO_STEP, limit - first);
        tp_census_sum(&view, first, count, sums);
        for (uint32_t i = 0; i < count; i++) {
            total.allocs += sums[i].allocs;
            total.frees += sums[i].frees;
            total.alloc_bytes += sums[i].alloc_bytes;
            total.free_bytes += sums[i].free_bytes;
            total.large_allocs += sums[i].large_allocs;
            total.large_frees += sums[i].large_frees;
            total.large_alloc_bytes += sums[i].large_alloc_bytes;
            total.large_free_bytes += sums[i].large_free_bytes;
        }
    }
    return total;
}

EXPORT struct mallinfo2 mallinfo2(void)
{
    struct tp_census_sum total = info_total();
    size_t live = tp_census_live_bytes(&total);
    size_t large = total.large_alloc_bytes - total.large_free_bytes;
    size_t held = tp_peek(&tp_segment->touched_bytes);
    return (struct mallinfo2){
        .arena = tp_max(held, live) - large,
        .hblks = total.large_allocs - total.large_frees,
        .hblkhd = large,
        .uordblks = live - large,
        .fordblks = tp_max(held, live) - live,
        .keepcost = tp_span_dirty_bytes(),
    };
}

static int info_clip(size_t value)
{
    return value > INT_MAX ? INT_MAX : (int)value;
}

EXPORT struct mallinfo mallinfo(void)
{
    struct mallinfo2 wide = mallinfo2();
    return (struct mallinfo){
        .arena = info_clip(wide.arena),
        .hblks = info_clip(wide.hblks),
        .hblkhd = info_clip(wide.hblkhd),
        .uordblks = info_clip(wide.uordblks),
        .fordblks = info_clip(wide.fordblks),
        .keepcost = info_clip(wide.keepcost),
    };
}

EXPORT void malloc_stats(void)
{
    struct mallinfo2 info = mallinfo2();
    fprintf(stderr, "Tagpool: system bytes = %zu, in use bytes = %zu, large blocks = %zu (%zu bytes)\n",
            info.arena + info.hblkhd, info.uordblks + info.hblkhd, info.hblks, info.hblkhd);
}

EXPORT int malloc_info(int options, FILE *stream)
{
    if (options != 0) {
        errno = EINVAL;
        return -1;
    }
    struct mallinfo2 info = mallinfo2();
    int written = fprintf(stream,
                          "<malloc version=\"1\">\n"
                          "<system type=\"current\" size=\"%zu\"/>\n"
                          "<total type=\"inuse\" size=\"%zu\"/>\n"
                          "<total type=\"mmap\" count=\"%zu\" size=\"%zu\"/>\n"
                          "</malloc>\n",
                          info.arena + info.hblkhd, info.uordblks + info.hblkhd, info.hblks, info.hblkhd);
    return written < 0 ? -1 : 0;
}

EXPORT int malloc_trim(size_t pad)
{
    (void)pad;
    struct tp_thread *thread = tp_thread_self();
    if (thread != NULL) {
        tp_harden_flush(thread);
        tp_heap_trim(thread);
    }
    return tp_span_trim() > 0;
}

/* None of glibc's knobs has a meaning here; refusing would make programs that set them complain. */
EXPORT int mallopt(int parameter, int value)
{
    (void)parameter;
    (void)value;
    return 1;
}

ALIAS(__libc_mallinfo, mallinfo);
ALIAS(__libc_mallopt, mallopt);
