#include "mark.h"

#include <errno.h>
#include <string.h>

#define MARK_STACK ((size_t)1 << 16)
#define MARK_BUFFER (256 * TP_KIB)

/* OS pages that are asked about at once; ranges shorter than the second are just read. */
#define MARK_PAGES 1024u
#define MARK_ASK (64 * TP_KIB)

/* A block to be read. */
struct tp_mark_entry {
    uintptr_t at;
    size_t size;
};

int tp_mark_begin(struct tp_mark *mark, struct tp_inventory *inventory)
{
    struct tp_image *image = inventory->image;
    *mark = (struct tp_mark){.image = image, .inventory = inventory};
    mark->stack = image->memory(image, MARK_STACK * sizeof(mark->stack[0]));
    mark->pages = image->memory(image, MARK_PAGES * sizeof(mark->pages[0]));
    mark->buffer = image->memory(image, MARK_BUFFER);
    return mark->stack != NULL && mark->pages != NULL && mark->buffer != NULL ? 0 : -ENOMEM;
}

/* --- words ---------------------------------------------------------------------------------------------------- */

static void mark_push(struct tp_mark *mark, uint8_t *state, const struct tp_inventory_node *node)
{
    if (mark->depth == MARK_STACK) {
        *state |= TP_BLOCK_PENDING;
        mark->has_pending = true;
        return;
    }
    mark->stack[mark->depth++] = (struct tp_mark_entry){node->at, node->size};
}

static void mark_node(struct tp_mark *mark, const struct tp_inventory_node *node)
{
    uint8_t *state = &mark->inventory->state[node->number];
    uint8_t found = mark->is_possibly ? TP_BLOCK_POSSIBLY : TP_BLOCK_REACHED;
    if ((*state & (TP_BLOCK_FREE | TP_BLOCK_REACHED | found)) != 0)
        return;
    if (!mark->is_possibly && !node->is_start) {
        *state |= TP_BLOCK_POSSIBLY; /* to be followed in the second half, unless it is reached meanwhile */
        return;
    }
    *state |= found;
    mark_push(mark, state, node);
}

static void mark_word(struct tp_mark *mark, uintptr_t word)
{
    struct tp_inventory_node node;
    if (TP_UNLIKELY(tp_inventory_may_have(mark->inventory, word)) && tp_inventory_find(mark->inventory, word, &node))
        mark_node(mark, &node);
}

static void mark_bytes(struct tp_mark *mark, const char *from, size_t size)
{
    for (; size >= sizeof(uintptr_t); from += sizeof(uintptr_t), size -= sizeof(uintptr_t)) {
        uintptr_t word;
        memcpy(&word, from, sizeof(word));
        mark_word(mark, word);
    }
}

/* --- ranges --------------------------------------------------------------------------------------------------- */

/* Where a part cannot be read, each OS page may be one that can. */
static void mark_read(struct tp_mark *mark, uintptr_t at, size_t size)
{
    if (tp_image_get(mark->image, at, mark->buffer, size)) {
        mark_bytes(mark, mark->buffer, size);
        return;
    }
    for (uintptr_t next, end = at + size; at < end; at = next) {
        next = tp_min(tp_round_up(at + 1, TP_OS_PAGE), end);
        if (tp_image_get(mark->image, at, mark->buffer, next - at))
            mark_bytes(mark, mark->buffer, next - at);
    }
}

static void mark_read_all(struct tp_mark *mark, uintptr_t from, uintptr_t to)
{
    for (uintptr_t next; from < to; from = next) {
        next = from + tp_min(to - from, MARK_BUFFER);
        mark_read(mark, from, next - from);
    }
}

static bool mark_is_own(uint64_t page)
{
    return (page & (TP_IMAGE_PAGE_PRESENT | TP_IMAGE_PAGE_SWAPPED)) != 0 && (page & TP_IMAGE_PAGE_OF_FILE) == 0;
}

/* Pages that were never written hold nothing, and those of a file what the file has. */
static void mark_read_own(struct tp_mark *mark, uintptr_t from, uintptr_t to, size_t count)
{
    for (size_t i = 0, end; i < count; i = end + 1) {
        for (end = i; end < count && mark_is_own(mark->pages[end]);)
            end++;
        uintptr_t first = (from & ~(TP_OS_PAGE - 1)) + (i << TP_OS_PAGE_SHIFT);
        uintptr_t last = first + ((end - i) << TP_OS_PAGE_SHIFT);
        if (end > i)
            mark_read_all(mark, tp_max(first, from), tp_min(last, to));
    }
}

static void mark_read_sparse(struct tp_mark *mark, uintptr_t from, uintptr_t to)
{
    for (uintptr_t next; from < to; from = next) {
        uintptr_t first = from & ~(TP_OS_PAGE - 1);
        next = tp_min(first + MARK_PAGES * TP_OS_PAGE, to);
        size_t count = tp_round_up(next - first, TP_OS_PAGE) >> TP_OS_PAGE_SHIFT;
        if (mark->image->pages(mark->image, first, count, mark->pages))
            mark_read_own(mark, from, next, count);
        else
            mark_read_all(mark, from, next);
    }
}

/* --- blocks --------------------------------------------------------------------------------------------------- */

static void mark_read_block(struct tp_mark *mark, const struct tp_mark_entry *entry)
{
    bool is_sparse = entry->size >= MARK_ASK && entry->at % sizeof(uintptr_t) == 0 && !mark->inventory->is_shared;
    if (is_sparse)
        mark_read_sparse(mark, entry->at, entry->at + entry->size);
    else
        mark_read_all(mark, entry->at, entry->at + entry->size);
}

/* Blocks from the top of the stack that fit into the buffer together; their number. */
static unsigned mark_take(struct tp_mark *mark, struct tp_image_range ranges[TP_IMAGE_RANGES])
{
    unsigned count = 0;
    size_t total = 0;
    while (mark->depth > 0 && count < TP_IMAGE_RANGES) {
        const struct tp_mark_entry *entry = &mark->stack[mark->depth - 1];
        if (entry->size > MARK_ASK || total + entry->size > MARK_BUFFER)
            break;
        ranges[count++] = (struct tp_image_range){entry->at, entry->size};
        total += entry->size;
        mark->depth--;
    }
    return count;
}

static void mark_read_blocks(struct tp_mark *mark, const struct tp_image_range *ranges, unsigned count)
{
    if (mark->image->read(mark->image, ranges, count, mark->buffer)) {
        const char *at = mark->buffer;
        for (unsigned i = 0; i < count; at += ranges[i++].size)
            mark_bytes(mark, at, ranges[i].size);
        return;
    }
    for (unsigned i = 0; i < count; i++)
        mark_read_all(mark, ranges[i].at, ranges[i].at + ranges[i].size);
}

static void mark_drain(struct tp_mark *mark)
{
    struct tp_image_range ranges[TP_IMAGE_RANGES];
    while (mark->depth > 0) {
        unsigned count = mark_take(mark, ranges);
        if (count > 0) {
            mark_read_blocks(mark, ranges, count);
        } else {
            const struct tp_mark_entry entry = mark->stack[--mark->depth];
            mark_read_block(mark, &entry);
        }
    }
}

static void mark_resume(const struct tp_inventory_node *node, void *argument)
{
    struct tp_mark *mark = argument;
    uint8_t *state = &mark->inventory->state[node->number];
    if ((*state & TP_BLOCK_PENDING) == 0)
        return;
    *state &= (uint8_t)~TP_BLOCK_PENDING;
    mark_push(mark, state, node);
    mark_drain(mark);
}

static void mark_drain_all(struct tp_mark *mark)
{
    mark_drain(mark);
    while (mark->has_pending) {
        mark->has_pending = false;
        tp_inventory_each(mark->inventory, mark_resume, mark);
    }
}

/* --- the interface -------------------------------------------------------------------------------------------- */

void tp_mark_words(struct tp_mark *mark, const uintptr_t *words, size_t count)
{
    for (size_t i = 0; i < count; i++)
        mark_word(mark, words[i]);
    mark_drain(mark);
}

void tp_mark_range(struct tp_mark *mark, uintptr_t from, uintptr_t to)
{
    mark_read_sparse(mark, from, to);
    mark_drain(mark);
}

void tp_mark_rest(struct tp_mark *mark, uintptr_t address)
{
    struct tp_inventory_node node;
    if (!tp_inventory_may_have(mark->inventory, address) || !tp_inventory_find(mark->inventory, address, &node) ||
        (mark->inventory->state[node.number] & TP_BLOCK_FREE) != 0)
        return;
    mark->inventory->state[node.number] |= TP_BLOCK_REACHED;
    mark_read_all(mark, address, node.at + node.size);
    mark_drain(mark);
}

static void mark_reopen(const struct tp_inventory_node *node, void *argument)
{
    struct tp_mark *mark = argument;
    uint8_t *state = &mark->inventory->state[node->number];
    if ((*state & (TP_BLOCK_POSSIBLY | TP_BLOCK_REACHED)) == TP_BLOCK_POSSIBLY)
        *state |= TP_BLOCK_PENDING;
}

void tp_mark_finish(struct tp_mark *mark)
{
    mark_drain_all(mark);
    mark->is_possibly = true;
    mark->has_pending = true;
    tp_inventory_each(mark->inventory, mark_reopen, mark);
    mark_drain_all(mark);
}
