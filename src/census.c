/*
 * One pass reads, in this order (G3):
 *
 *   sequence of each slot | frees of slots | frees of tallies | rows | allocs of tallies | allocs of slots | sequences
 *
 * A block's free is counted after its alloc.  So a free that we saw has its alloc in a place that we read later, and
 * the acquire loads keep us from reading that place early.  They pair with the release stores of every counter.
 */
#include "census.h"

#include <errno.h>
#include <string.h>

enum {
    CENSUS_PASSES = 4,    /* over all rows, for the slots that moved */
    CENSUS_ROW_TRIES = 8, /* for a row that changes hands while we read it */
};

/* The slots being read; index 0 is slot number `first`. */
struct census_pass {
    const struct tp_census_view *view;
    struct tp_census_sum *sums;
    uint32_t first;
    uint32_t count;
};

static inline uint64_t census_load(const uint64_t *word)
{
    return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

static inline uint32_t census_load32(const uint32_t *word)
{
    return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

static uint64_t census_min(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* ---- opening ---- */

static int census_table_fits(uint64_t offset, uint64_t count, size_t item_size, size_t size)
{
    if (offset % sizeof(uint64_t) != 0 || offset < 2 * TAGPOOL_SEGMENT_PAGE || offset > size)
        return 0;
    return count <= (size - offset) / item_size;
}

static int census_check_format(const struct tagpool_segment_header *header)
{
    if (header->magic != TAGPOOL_SEGMENT_MAGIC)
        return -EINVAL;
    /* A version fixes the sizes: to make a row longer is to make a new version. */
    if (header->version != TAGPOOL_SEGMENT_VERSION || header->header_size != sizeof(*header) ||
        header->slot_size != sizeof(struct tagpool_segment_slot) ||
        header->tally_size != sizeof(struct tagpool_segment_tally) ||
        header->quota_size != sizeof(struct tagpool_segment_quota) ||
        header->row_size != sizeof(struct tagpool_segment_row))
        return -EPROTONOSUPPORT;
    return 0;
}

int tp_census_open(struct tp_census_view *view, const void *segment, size_t size)
{
    if (size < 2 * TAGPOOL_SEGMENT_PAGE)
        return -EINVAL;

    /* A private copy: what was checked is what is used (N1). */
    struct tagpool_segment_header header;
    memcpy(&header, segment, sizeof(header));
    int error = census_check_format(&header);
    if (error != 0)
        return error;

    if (header.file_size > size || header.slot_count > TP_CENSUS_MAX_SLOTS ||
        header.quota_count > TP_CENSUS_MAX_SLOTS || header.row_count > TP_CENSUS_MAX_ROWS ||
        !census_table_fits(header.slots_offset, header.slot_count, sizeof(struct tagpool_segment_slot), size) ||
        !census_table_fits(header.tallies_offset, header.tally_count, sizeof(struct tagpool_segment_tally), size) ||
        !census_table_fits(header.quotas_offset, header.quota_count, sizeof(struct tagpool_segment_quota), size) ||
        !census_table_fits(header.rows_offset, header.row_count, sizeof(struct tagpool_segment_row), size))
        return -EBADMSG;

    const char *base = segment;
    view->header = segment;
    view->slots = (const void *)(base + header.slots_offset);
    view->tallies = (const void *)(base + header.tallies_offset);
    view->quotas = (const void *)(base + header.quotas_offset);
    view->rows = (const void *)(base + header.rows_offset);
    view->slot_count = header.slot_count;
    view->tally_count = header.tally_count;
    view->quota_count = header.quota_count;
    view->row_count = header.row_count;
    memcpy(view->class_size, header.class_size, sizeof(view->class_size));
    return 0;
}

uint32_t tp_census_slot_limit(const struct tp_census_view *view)
{
    return (uint32_t)census_min(census_load32(&view->header->slots_used_total), view->slot_count);
}

uint32_t tp_census_quota_limit(const struct tp_census_view *view)
{
    return (uint32_t)census_min(census_load32(&view->header->quotas_used_total), view->quota_count);
}

/* ---- one pass ---- */

/* The sum that a row or tally of this slot goes into; NULL when nobody waits for it. */
static inline struct tp_census_sum *census_sum_of(const struct census_pass *pass, uint32_t slot)
{
    uint32_t i = slot - pass->first; /* wraps below `first`, and is then too large */
    if (slot == TAGPOOL_SEGMENT_NO_SLOT || i >= pass->count || !pass->sums[i].pending)
        return NULL;
    return &pass->sums[i];
}

static void census_begin_slot(struct tp_census_sum *sum, const struct tagpool_segment_slot *slot)
{
    /* Pairs with the release of the odd value at the start of a fold, and of the even one at its end. */
    uint32_t sequence = census_load32(&slot->sequence);
    memset(sum, 0, sizeof(*sum));
    sum->pending = 1;
    sum->sequence = sequence;
    sum->large_frees = census_load(&slot->large_frees_total);
    sum->large_free_bytes = census_load(&slot->large_free_bytes_total);
    sum->frees = census_load(&slot->frees_total) + sum->large_frees;
    sum->free_bytes = census_load(&slot->free_bytes_total) + sum->large_free_bytes;
}

static void census_add_tally_frees(const struct census_pass *pass, const struct tagpool_segment_tally *tally)
{
    struct tp_census_sum *sum = census_sum_of(pass, census_load32(&tally->slot));
    if (sum == NULL)
        return;
    sum->frees += census_load(&tally->frees_total);
    sum->free_bytes += census_load(&tally->free_bytes_total);
}

static void census_add_tally_allocs(const struct census_pass *pass, const struct tagpool_segment_tally *tally)
{
    struct tp_census_sum *sum = census_sum_of(pass, census_load32(&tally->slot));
    if (sum == NULL)
        return;
    sum->allocs += census_load(&tally->allocs_total);
    sum->alloc_bytes += census_load(&tally->alloc_bytes_total);
}

/* Tables and classes out of range can only come from damage; they count no bytes. */
static inline uint64_t census_block_size(const struct tp_census_view *view, uint64_t id)
{
    unsigned table = id >> 8 & 0xff, class = id & 0xff;
    if (table >= TAGPOOL_SEGMENT_TABLES || class >= TAGPOOL_SEGMENT_CLASSES)
        return 0;
    return view->class_size[table][class];
}

static inline void census_add_row(const struct census_pass *pass, const struct tagpool_segment_row *row)
{
    struct tp_census_sum *sum = NULL;
    for (int tries = 0; tries < CENSUS_ROW_TRIES; tries++) {
        uint64_t id = census_load(&row->id);
        sum = census_sum_of(pass, id >> 16 & 0xffff);
        if (sum == NULL)
            return;
        uint64_t frees = census_load(&row->frees_total);
        uint64_t allocs = census_load(&row->allocs_total);
        if (__atomic_load_n(&row->id, __ATOMIC_RELAXED) != id)
            continue;
        uint64_t size = census_block_size(pass->view, id);
        sum->frees += frees;
        sum->free_bytes += frees * size;
        sum->allocs += allocs;
        sum->alloc_bytes += allocs * size;
        return;
    }
    sum->torn = 1;
}

/* The watermark only rises: units that come into use while we read may be left out (G3). */
static void census_add_rows(const struct census_pass *pass)
{
    const struct tp_census_view *view = pass->view;
    for (unsigned i = 0; i < TAGPOOL_SEGMENT_REGIONS; i++) {
        uint64_t first = census_min(census_load(&view->header->region[i].first), view->row_count);
        uint64_t used = census_load(&view->header->region[i].used_total);
        uint64_t count = census_min(used, view->row_count - first);
        for (uint64_t n = 0; n < count; n++)
            census_add_row(pass, &view->rows[first + n]);
    }
}

static uint32_t census_tallies_used(const struct tp_census_view *view)
{
    return (uint32_t)census_min(census_load32(&view->header->tallies_used_total), view->tally_count);
}

/* Returns 1 when the slot has to be read again. */
static int census_end_slot(struct tp_census_sum *sum, const struct tagpool_segment_slot *slot)
{
    sum->large_allocs = census_load(&slot->large_allocs_total);
    sum->large_alloc_bytes = census_load(&slot->large_alloc_bytes_total);
    sum->allocs += census_load(&slot->allocs_total) + sum->large_allocs;
    sum->alloc_bytes += census_load(&slot->alloc_bytes_total) + sum->large_alloc_bytes;

    uint64_t live = tp_census_live_bytes(sum);
    uint64_t peak = census_load(&slot->peak_bytes);
    sum->peak_bytes = peak > live ? peak : live;

    /* After all loads above, which acquire. */
    uint32_t sequence = __atomic_load_n(&slot->sequence, __ATOMIC_RELAXED);
    sum->pending = sequence % 2 != 0 || sequence != sum->sequence || sum->torn;
    return sum->pending;
}

/* Read every pending slot once; how many are to be read again. */
static uint32_t census_run_pass(const struct census_pass *pass)
{
    const struct tp_census_view *view = pass->view;
    const struct tagpool_segment_slot *slots = view->slots + pass->first;
    uint32_t left = 0;

    for (uint32_t i = 0; i < pass->count; i++)
        if (pass->sums[i].pending)
            census_begin_slot(&pass->sums[i], &slots[i]);
    for (uint32_t i = 1, used = census_tallies_used(view); i < used; i++)
        census_add_tally_frees(pass, &view->tallies[i]);
    census_add_rows(pass);
    for (uint32_t i = 1, used = census_tallies_used(view); i < used; i++)
        census_add_tally_allocs(pass, &view->tallies[i]);
    for (uint32_t i = 0; i < pass->count; i++)
        if (pass->sums[i].pending)
            left += (uint32_t)census_end_slot(&pass->sums[i], &slots[i]);
    return left;
}

void tp_census_sum(const struct tp_census_view *view, uint32_t first_slot, uint32_t slot_count,
                   struct tp_census_sum *sums)
{
    memset(sums, 0, slot_count * sizeof(*sums));
    if (first_slot >= view->slot_count)
        return;
    struct census_pass pass = {
        .view = view,
        .sums = sums,
        .first = first_slot,
        .count = (uint32_t)census_min(slot_count, view->slot_count - first_slot),
    };
    uint32_t left = 0;
    for (uint32_t i = 0; i < pass.count; i++)
        left += sums[i].pending = __atomic_load_n(&view->slots[first_slot + i].used, __ATOMIC_ACQUIRE) != 0;
    for (int n = 0; n < CENSUS_PASSES && left != 0; n++)
        left = census_run_pass(&pass);
    for (uint32_t i = 0; i < pass.count; i++)
        sums[i].moved = sums[i].pending;
}

uint64_t tp_census_live_blocks(const struct tp_census_sum *sum)
{
    return sum->allocs > sum->frees ? sum->allocs - sum->frees : 0;
}

uint64_t tp_census_live_bytes(const struct tp_census_sum *sum)
{
    return sum->alloc_bytes > sum->free_bytes ? sum->alloc_bytes - sum->free_bytes : 0;
}
