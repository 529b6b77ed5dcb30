#include "track.h"
#include "metadata.h"

uint16_t tp_track_turns[TP_SLOT_COUNT];

void tp_track_begin(uint32_t slot)
{
    static uint16_t last;
    if (tp_track_turns[slot] != 0)
        return;
    last = (uint16_t)((last + 1) % TP_TRACK_TURNS);
    last = (uint16_t)tp_max(last, 1);
    tp_poke(&tp_track_turns[slot], last);
}

void tp_track_end(uint32_t slot)
{
    tp_poke(&tp_track_turns[slot], (uint16_t)0);
}

static size_t track_bytes(const struct tp_page *page)
{
    return page->capacity * sizeof(page->tracks[0]);
}

/* An orphaned page may be anybody's by now: each of those who have a block of it may come by here. */
static bool track_make(struct tp_page *page)
{
    struct tp_track *none = NULL, *tracks = tp_metadata_alloc(track_bytes(page));
    if (tracks == NULL)
        return false;
    if (!__atomic_compare_exchange_n(&page->tracks, &none, tracks, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
        tp_metadata_free(tracks, track_bytes(page));
    return true;
}

void tp_track_note(struct tp_page *page, void *block, uint32_t slot, uint32_t stack, size_t size)
{
    if (page->state == TP_UNIT_LARGE)
        page->large_track = tp_track_made(slot, stack, page->large_size - size);
    else if (page->tracks != NULL || (stack != 0 && track_make(page)))
        tp_track_write(page, tp_page_index(page, block), block, tp_track_made(slot, stack, size));
}

void tp_track_resize(struct tp_page *page, uint32_t index, size_t size)
{
    if (page->state == TP_UNIT_LARGE)
        page->large_track.size = (uint32_t)(page->large_size - size);
    else if (!page->watched && page->tracks != NULL)
        page->tracks[index].size = (uint32_t)size;
}

bool tp_track_find(const struct tp_page *page, uint32_t index, uint32_t slot, uint32_t *stack, size_t *size)
{
    struct tp_track track = page->large_track;
    bool is_large = page->state == TP_UNIT_LARGE;
    if (!is_large) {
        const struct tp_track *tracks = __atomic_load_n(&page->tracks, __ATOMIC_ACQUIRE);
        track = tracks != NULL ? tracks[index] : (struct tp_track){0};
    }
    if (track.turn == 0 || track.turn != tp_peek(&tp_track_turns[slot]) || track.stack == 0)
        return false;
    *stack = track.stack;
    *size = is_large ? page->large_size - track.size : track.size;
    return true;
}

void tp_track_free(struct tp_page *page)
{
    if (page->tracks != NULL)
        tp_metadata_free(page->tracks, track_bytes(page));
    page->tracks = NULL;
}
