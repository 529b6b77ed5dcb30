#include "selection.h"
#include "memory.h"

#include <stdlib.h>
#include <string.h>

const struct selection_order selection_orders[] = {
    {'t', SORT_TAG, "tag", 0, 0},
    {'a', SORT_ALLOCS, "allocs", offsetof(struct pool, allocs), offsetof(struct pool, change.allocs)},
    {'f', SORT_FREES, "frees", offsetof(struct pool, frees), offsetof(struct pool, change.frees)},
    {'d', SORT_DIFF, "live blocks", offsetof(struct pool, diff), offsetof(struct pool, change.diff)},
    {'b', SORT_BYTES, "live bytes", offsetof(struct pool, bytes), offsetof(struct pool, change.bytes)},
    {'m', SORT_PER_ALLOC, "bytes per block", offsetof(struct pool, per_alloc),
     offsetof(struct pool, change.per_alloc)},
};
const size_t selection_order_count = sizeof(selection_orders) / sizeof(selection_orders[0]);

const struct selection_order *selection_find_order(char letter)
{
    for (size_t i = 0; i < selection_order_count; i++)
        if (selection_orders[i].letter == letter)
            return &selection_orders[i];
    return NULL;
}

/* ---- patterns ---- */

bool selection_add_pattern(struct selection_patterns *patterns, const char *text)
{
    if (text[0] == '\0' || text[0] == '*')
        return false;
    patterns->items = memory_grow(patterns->items, patterns->count, sizeof(*patterns->items));
    patterns->items[patterns->count++] = text;
    return true;
}

void selection_free(struct selection *selection)
{
    free(selection->only.items);
    free(selection->hidden.items);
    selection->only = selection->hidden = (struct selection_patterns){NULL, 0};
}

/* Tags are four characters and patterns come from the command line, so the recursion is short. */
static bool selection_matches(const char *pattern, const char *text, const char *end)
{
    if (*pattern == '*')
        return selection_matches(pattern + 1, text, end) || (text < end && selection_matches(pattern, text + 1, end));
    if (*pattern == '\0' || text == end)
        return *pattern == '\0' && text == end;
    return (*pattern == '?' || *pattern == *text) && selection_matches(pattern + 1, text + 1, end);
}

static bool selection_matches_any(const struct selection_patterns *patterns, uint32_t tag)
{
    char text[sizeof(tag)];
    memcpy(text, &tag, sizeof(tag));
    for (size_t i = 0; i < patterns->count; i++) {
        const char *end = text + sizeof(text);
        bool found = selection_matches(patterns->items[i], text, end);
        while (!found && end > text && end[-1] == ' ')
            found = selection_matches(patterns->items[i], text, --end);
        if (found)
            return true;
    }
    return false;
}

/* ---- choosing and sorting ---- */

static bool selection_shows(const struct selection *selection, const struct pool *pool)
{
    if (selection->kind == KIND_NONPAGED && pool->kind != POOL_NONPAGED)
        return false;
    if (selection->kind == KIND_PAGED && pool->kind != POOL_PAGED)
        return false;
    if (selection->only.count != 0 && !selection_matches_any(&selection->only, pool->tag))
        return false;
    return !selection_matches_any(&selection->hidden, pool->tag);
}

/* What a comparison goes by. */
struct selection_by {
    const struct selection_order *order;
    bool by_change;
};

static int selection_compare_numbers(const struct pool *x, const struct pool *y, const struct selection_by *by)
{
    if (by->order->sort == SORT_TAG)
        return 0;
    if (by->by_change) {
        int64_t a = *(const int64_t *)((const char *)x + by->order->change_offset);
        int64_t b = *(const int64_t *)((const char *)y + by->order->change_offset);
        if (a != b)
            return a < b ? 1 : -1;
    }
    uint64_t a = *(const uint64_t *)((const char *)x + by->order->value_offset);
    uint64_t b = *(const uint64_t *)((const char *)y + by->order->value_offset);
    return (a < b) - (a > b);
}

/* Numbers fall, tags rise; what is equal stays in the order of tags, kinds and slots, so that rows do not jump. */
static int selection_compare(const void *a, const void *b, void *context)
{
    const struct pool *x = *(const struct pool *const *)a, *y = *(const struct pool *const *)b;
    int order = selection_compare_numbers(x, y, context);
    if (order == 0)
        order = memcmp(&x->tag, &y->tag, sizeof(x->tag));
    if (order == 0)
        order = (int)x->kind - (int)y->kind;
    return order != 0 ? order : (x->slot > y->slot) - (x->slot < y->slot);
}

const struct pool **selection_make(const struct selection *selection, const struct accounts *accounts,
                                   enum selection_sort fallback, size_t *count)
{
    const struct pool **chosen = memory_alloc(accounts->pool_count, sizeof(const struct pool *));
    struct selection_by by = {.order = &selection_orders[0], .by_change = selection->by_change};
    enum selection_sort sort = selection->sort != SORT_DEFAULT ? selection->sort : fallback;
    *count = 0;
    for (size_t i = 0; i < accounts->pool_count; i++)
        if (selection_shows(selection, &accounts->pools[i]))
            chosen[(*count)++] = &accounts->pools[i];
    for (size_t i = 0; i < selection_order_count; i++)
        if (selection_orders[i].sort == sort)
            by.order = &selection_orders[i];
    qsort_r(chosen, *count, sizeof(*chosen), selection_compare, &by);
    return chosen;
}
