#include "ahead.h"
#include "limit.h"

static void ahead_keep(struct tp_thread_slot *entry, uint32_t slot, uint32_t keep)
{
    uint32_t more = entry->drawn - keep;
    entry->drawn = keep;
    tp_limit_shrink(&tp_tags[slot].meter, more);
}

static void ahead_end_thread(struct tp_thread *thread)
{
    for (uint32_t slot = 1; slot < thread->slots_used; slot++)
        if (thread->slots[slot].drawn > 0)
            ahead_keep(&thread->slots[slot], slot, 0);
}

/* A child of a fork: what other threads held stays in the bounds for good. */
static void ahead_adopt(struct tp_thread *self)
{
}

void tp_ahead_begin(void)
{
    static struct tp_thread_keeper keeper = {.end = ahead_end_thread, .adopt = ahead_adopt};
    tp_thread_add_keeper(&keeper);
}

bool tp_ahead_draw_more(struct tp_thread_slot *entry, uint32_t slot, size_t bytes)
{
    tp_ahead_begin();
    if (!tp_limit_grow(&tp_tags[slot].meter, bytes + TP_AHEAD_BYTES))
        return false;
    entry->drawn += TP_AHEAD_BYTES;
    return true;
}

void tp_ahead_give_back(struct tp_thread_slot *entry, uint32_t slot)
{
    ahead_keep(entry, slot, TP_AHEAD_BYTES);
}
