/*
 * Common buffers (include/tagpool/common_buffer.h).
 *
 *   address -> | caller's size bytes ............ | tail: DmaVrfy0DmaVrfy0... |     whole OS pages of the nonpaged pool
 *
 * One page is a block as any other.  More are a large block in memory of huge pages (tp_alloc_huge), so that they are
 * contiguous where the system has such memory; frames from /proc/self/pagemap tell how it is, to those who may know.
 *
 * D1  A buffer is live exactly while its stamp is that of its own address.
 * D2  With physical addresses frames[] holds the frame of each page, as the last look found it; never 0.
 * D3  With virtual ones `iova` is in the list of ranges (iova.h).
 *
 * No lock: see the header for who may call at once.
 */
#include <tagpool/common_buffer.h>

#include "alloc.h"
#include "free.h"
#include "iova.h"
#include "large.h"
#include "metadata.h"
#include "nonpaged.h"
#include "os.h"
#include "pool.h"
#include "start.h"

#include <string.h>

/* "DmaStamp" */
#define BUFFER_STAMP UINT64_C(0x706d617453616d44)

/* What lies behind the caller's bytes: the tag that Windows' verifier puts there. */
static const char buffer_pattern[] = "DmaVrfy0";
#define PATTERN_SIZE (sizeof(buffer_pattern) - 1)
_Static_assert(TP_OS_PAGE % PATTERN_SIZE == 0, "the pattern lies alike on each page");

/* Pieces of memory that are looked at before bounds count as not to be kept. */
#define BUFFER_TRIES 8u

/* Frames that are read at once. */
#define FRAMES_AT_ONCE 256u

struct tagpool_common_buffer {
    uint64_t stamp;
    char *address;
    size_t size;
    size_t pages;
    tagpool_tag_t tag;
    tagpool_bus_t bus;
    bool is_huge; /* all of it lies in huge pages */
    struct tp_iova iova;
    uint64_t frames[];
};

static uint64_t buffer_stamp(const tagpool_common_buffer_t *buffer)
{
    return BUFFER_STAMP ^ (uintptr_t)buffer;
}

/* Metadata stays readable, whatever it holds by now. */
static bool buffer_may_be_one(const tagpool_common_buffer_t *buffer)
{
    const struct tp_area *area = &tp_areas[TP_AREA_METADATA];
    uintptr_t offset = (uintptr_t)buffer - (uintptr_t)area->base;
    return offset < tp_peek(&area->committed) && offset % TP_CACHE_LINE == 0;
}

static void buffer_check(const tagpool_common_buffer_t *buffer)
{
    if (TP_UNLIKELY(!buffer_may_be_one(buffer) || tp_peek(&buffer->stamp) != buffer_stamp(buffer)))
        tp_stop(TP_DMA_NOT_MAPPED, (uintptr_t)buffer, 0, 0, buffer, 0);
}

/* Of two threads that free a buffer at once one is told. */
static void buffer_claim(tagpool_common_buffer_t *buffer)
{
    uint64_t stamp = buffer_stamp(buffer);
    if (TP_UNLIKELY(!buffer_may_be_one(buffer) || !__atomic_compare_exchange_n(&buffer->stamp, &stamp, 0, false,
                                                                               __ATOMIC_ACQ_REL, __ATOMIC_RELAXED)))
        tp_stop(TP_DMA_FREED_TOO_OFTEN, 1, 0, 0, buffer, 0);
}

/* --- the tail ------------------------------------------------------------------------------------------------- */

static void tail_fill(tagpool_common_buffer_t *buffer)
{
    for (size_t i = buffer->size; i < buffer->pages * TP_OS_PAGE; i++)
        buffer->address[i] = buffer_pattern[i % PATTERN_SIZE];
}

static void tail_check(const tagpool_common_buffer_t *buffer)
{
    for (size_t i = buffer->size; i < buffer->pages * TP_OS_PAGE; i++)
        if (TP_UNLIKELY(buffer->address[i] != buffer_pattern[i % PATTERN_SIZE]))
            tp_stop(TP_DMA_WRITTEN_OUTSIDE, 2, buffer->size, (uintptr_t)buffer->address, &buffer->address[i],
                    buffer->tag);
}

/* --- frames --------------------------------------------------------------------------------------------------- */

/* 1: some differ from what was known; 0; or a negative errno, -EPERM where the system does not tell them. */
static int frames_read_some(tagpool_common_buffer_t *buffer, size_t first, size_t count)
{
    uint64_t now[FRAMES_AT_ONCE];
    int error = tp_os_page_frames(buffer->address + first * TP_OS_PAGE, count, now);
    if (error != 0)
        return error == -ENOENT || error == -EACCES ? -EPERM : error;
    for (size_t i = 0; i < count; i++)
        if (now[i] == 0)
            return -EPERM;
    size_t bytes = count * sizeof(now[0]);
    int changed = memcmp(&buffer->frames[first], now, bytes) != 0;
    memcpy(&buffer->frames[first], now, bytes);
    return changed;
}

/* As frames_read_some, for all pages. */
static int frames_read(tagpool_common_buffer_t *buffer)
{
    int changed = 0;
    for (size_t page = 0; page < buffer->pages; page += FRAMES_AT_ONCE) {
        int result = frames_read_some(buffer, page, tp_min(buffer->pages - page, FRAMES_AT_ONCE));
        if (result < 0)
            return result;
        changed |= result;
    }
    return changed;
}

static bool frames_are_within(const tagpool_common_buffer_t *buffer, uint64_t minimum, uint64_t maximum)
{
    for (size_t page = 0; page < buffer->pages; page++) {
        uint64_t first = buffer->frames[page] << TP_OS_PAGE_SHIFT;
        if (first < minimum || first + TP_OS_PAGE - 1 > maximum)
            return false;
    }
    return true;
}

/* --- bus addresses -------------------------------------------------------------------------------------------- */

static uint64_t bus_page(const tagpool_common_buffer_t *buffer, size_t page)
{
    return buffer->bus == TAGPOOL_BUS_PHYSICAL ? buffer->frames[page] << TP_OS_PAGE_SHIFT
                                               : buffer->iova.base + page * TP_OS_PAGE;
}

static size_t bus_runs(const tagpool_common_buffer_t *buffer, tagpool_bus_run_t *runs, size_t count)
{
    size_t found = 0;
    tagpool_bus_run_t run = {.address = 0, .length = 0};
    for (size_t page = 0; page < buffer->pages; page++) {
        uint64_t address = bus_page(buffer, page);
        if (page == 0 || address != run.address + run.length) {
            run = (tagpool_bus_run_t){.address = address, .length = 0};
            found++;
        }
        run.length += tp_min(TP_OS_PAGE, buffer->size - page * TP_OS_PAGE);
        if (found <= count)
            runs[found - 1] = run;
    }
    return found;
}

/* What is not told can be concluded: one page, or a part of one huge page. */
static bool buffer_is_contiguous(const tagpool_common_buffer_t *buffer)
{
    if (buffer->bus == TAGPOOL_BUS_PHYSICAL)
        return bus_runs(buffer, NULL, 0) == 1;
    return buffer->pages == 1 || (buffer->is_huge && buffer->pages * TP_OS_PAGE <= TP_HUGE_PAGE);
}

/* --- alloc ---------------------------------------------------------------------------------------------------- */

static uint64_t options_maximum(const tagpool_common_buffer_options_t *options)
{
    return options->maximum_address != 0 ? options->maximum_address : UINT64_MAX;
}

static bool options_are_valid(const tagpool_common_buffer_options_t *options)
{
    bool bus_is_known = options->bus == TAGPOOL_BUS_ANY || options->bus == TAGPOOL_BUS_PHYSICAL ||
                        options->bus == TAGPOOL_BUS_VIRTUAL;
    bool flags_are_known = (options->flags & ~TAGPOOL_COMMON_BUFFER_CONTIGUOUS) == 0;
    if (!bus_is_known || !flags_are_known || options->size == 0 ||
        options->minimum_address > options_maximum(options)) {
        errno = EINVAL;
        return false;
    }
    return tp_pool_is_valid(TAGPOOL_NONPAGED, options->tag);
}

/* The frames if they may be used and are told, else a range of virtual addresses; -ERANGE where there is none. */
static int buffer_find_address(tagpool_common_buffer_t *buffer, const tagpool_common_buffer_options_t *options)
{
    uint64_t maximum = options_maximum(options);
    int result = options->bus != TAGPOOL_BUS_VIRTUAL ? frames_read(buffer) : -EPERM;
    if (result >= 0) {
        buffer->bus = TAGPOOL_BUS_PHYSICAL;
        return frames_are_within(buffer, options->minimum_address, maximum) ? 0 : -ERANGE;
    }
    if (result != -EPERM || options->bus == TAGPOOL_BUS_PHYSICAL)
        return result;
    buffer->bus = TAGPOOL_BUS_VIRTUAL;
    uint64_t size = buffer->pages * TP_OS_PAGE;
    return tp_iova_take(&buffer->iova, size, options->minimum_address, maximum) ? 0 : -ERANGE;
}

static void buffer_give_address(tagpool_common_buffer_t *buffer)
{
    if (buffer->bus == TAGPOOL_BUS_VIRTUAL)
        tp_iova_give(&buffer->iova);
}

/* 0, or a negative errno why this memory will not do. */
static int buffer_judge(tagpool_common_buffer_t *buffer, const tagpool_common_buffer_options_t *options)
{
    int error = buffer_find_address(buffer, options);
    if (error != 0)
        return error;
    if ((options->flags & TAGPOOL_COMMON_BUFFER_CONTIGUOUS) == 0 || buffer_is_contiguous(buffer))
        return 0;
    buffer_give_address(buffer);
    return -ENOBUFS;
}

static void *buffer_take_pages(tagpool_common_buffer_t *buffer)
{
    uint32_t slot = tp_tag_open(buffer->tag, TP_LAYOUT_NONPAGED);
    if (buffer->pages == 1)
        return tp_alloc(tp_thread_self(), slot, TP_OS_PAGE, TP_OS_PAGE);
    return tp_alloc_huge(slot, buffer->pages * TP_OS_PAGE, &buffer->is_huge);
}

/* Another piece of memory may do where frames were the reason; where they are not told it would be judged alike. */
static bool buffer_may_try_again(const tagpool_common_buffer_t *buffer, int error)
{
    return (error == -ERANGE || error == -ENOBUFS) && buffer->bus == TAGPOOL_BUS_PHYSICAL;
}

/* What was refused is held until the end, so that it does not come again. */
static int buffer_find_memory(tagpool_common_buffer_t *buffer, const tagpool_common_buffer_options_t *options)
{
    void *refused[BUFFER_TRIES];
    size_t count = 0;
    int error = -ENOMEM;
    do {
        buffer->address = buffer_take_pages(buffer);
        if (buffer->address == NULL)
            break;
        error = buffer_judge(buffer, options);
        if (error != 0)
            refused[count++] = buffer->address;
    } while (count < BUFFER_TRIES && buffer_may_try_again(buffer, error));
    while (count > 0)
        tp_free_slow(refused[--count]);
    return error;
}

static size_t buffer_bytes(size_t pages)
{
    return offsetof(tagpool_common_buffer_t, frames) + pages * sizeof(uint64_t);
}

/* A buffer without memory yet; what the pool has no room for is refused before huge pages are made in vain. */
static tagpool_common_buffer_t *buffer_create(const tagpool_common_buffer_options_t *options)
{
    size_t pages = tp_round_up(options->size, TP_OS_PAGE) >> TP_OS_PAGE_SHIFT;
    if (options->size > TP_LARGE_MAX || !tp_nonpaged_has_room(pages * TP_OS_PAGE))
        return NULL;
    tagpool_common_buffer_t *buffer = tp_metadata_alloc(buffer_bytes(pages));
    if (buffer == NULL)
        return NULL;
    buffer->size = options->size;
    buffer->pages = pages;
    buffer->tag = options->tag;
    return buffer;
}

tagpool_common_buffer_t *tagpool_common_buffer_alloc(const tagpool_common_buffer_options_t *options)
{
    if (!options_are_valid(options))
        return NULL;
    tp_start_may_publish();
    tp_thread_self();
    tagpool_common_buffer_t *buffer = buffer_create(options);
    int error = buffer != NULL ? buffer_find_memory(buffer, options) : -ENOMEM;
    if (error != 0) {
        if (buffer != NULL)
            tp_metadata_free(buffer, buffer_bytes(buffer->pages));
        errno = -error;
        return NULL;
    }
    tail_fill(buffer);
    tp_publish(&buffer->stamp, buffer_stamp(buffer));
    return buffer;
}

/* --- the other calls ------------------------------------------------------------------------------------------ */

void *tagpool_common_buffer_address(const tagpool_common_buffer_t *buffer)
{
    buffer_check(buffer);
    return buffer->address;
}

uint64_t tagpool_common_buffer_bus_address(const tagpool_common_buffer_t *buffer)
{
    buffer_check(buffer);
    return bus_page(buffer, 0);
}

tagpool_bus_t tagpool_common_buffer_bus(const tagpool_common_buffer_t *buffer)
{
    buffer_check(buffer);
    return buffer->bus;
}

int tagpool_common_buffer_is_contiguous(const tagpool_common_buffer_t *buffer)
{
    buffer_check(buffer);
    return buffer_is_contiguous(buffer);
}

size_t tagpool_common_buffer_runs(const tagpool_common_buffer_t *buffer, tagpool_bus_run_t *runs, size_t count)
{
    buffer_check(buffer);
    return bus_runs(buffer, runs, count);
}

int tagpool_common_buffer_flush(tagpool_common_buffer_t *buffer)
{
    buffer_check(buffer);
    tail_check(buffer);
    int result = buffer->bus == TAGPOOL_BUS_PHYSICAL ? frames_read(buffer) : 0;
    if (result >= 0)
        return result;
    errno = -result;
    return -1;
}

void tagpool_common_buffer_free(tagpool_common_buffer_t *buffer)
{
    if (buffer == NULL)
        return;
    tp_thread_self();
    buffer_claim(buffer);
    tail_check(buffer);
    buffer_give_address(buffer);
    tp_free_slow(buffer->address);
    tp_metadata_free(buffer, buffer_bytes(buffer->pages));
}
