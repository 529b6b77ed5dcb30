#include "leak.h"
#include "roots.h"

#include <errno.h>
#include <string.h>

/* Places in the table of groups, at most; it is never fuller than three quarters. */
#define LEAK_TABLE_MOST ((size_t)1 << 20)
#define LEAK_TABLE_LEAST ((size_t)1 << 10)

/* A key: whether it is of special pool, address, life. */
#define LEAK_KEY_SPECIAL (UINT64_C(1) << 63)
#define LEAK_KEY_SHIFT 8

_Static_assert(TP_LEAK_GROUPS == TP_LEAK_LOST_GROUPS + TP_SLOT_COUNT, "a group a slot");

/* What the walk over all blocks has in hand. */
struct leak_walk {
    const struct tp_leak_look *look;
    struct tp_inventory *inventory;
    struct tp_leak_result *result;
    struct tp_leak_group *table; /* a place is free while its class is 0 */
    size_t table_size;
    size_t table_used;
    uint64_t lost; /* blocks that were not reached */
};

/* --- suspects ------------------------------------------------------------------------------------------------- */

/* Where it is known, another life of the same block is another block. */
static uint64_t leak_key(const struct tp_inventory_node *node, const struct tp_inventory_details *details)
{
    return node->at << LEAK_KEY_SHIFT | details->life | (node->page == NULL ? LEAK_KEY_SPECIAL : 0);
}

static void suspects_add(struct tp_leak_suspects *suspects, uint64_t key)
{
    if (suspects->count < suspects->room)
        suspects->keys[suspects->count++] = key;
    else
        suspects->is_full = true;
}

static bool suspects_have(const struct tp_leak_suspects *suspects, uint64_t key)
{
    uint64_t from = 0, to = suspects->count;
    while (from < to) {
        uint64_t middle = from + (to - from) / 2;
        if (suspects->keys[middle] < key)
            from = middle + 1;
        else
            to = middle;
    }
    return from < suspects->count ? suspects->keys[from] == key : suspects->is_full;
}

/* --- groups --------------------------------------------------------------------------------------------------- */

static bool group_is(const struct tp_leak_group *group, const struct tp_leak_group *other)
{
    return group->leak_class == other->leak_class && group->slot == other->slot && group->stack == other->stack;
}

static size_t group_hash(const struct tp_leak_group *group)
{
    uint64_t key = (uint64_t)group->leak_class << 48 | (uint64_t)group->slot << 32 | group->stack;
    return (size_t)(key * UINT64_C(0x9e3779b97f4a7c15) >> 32);
}

/* Its place in the table, free or not. */
static struct tp_leak_group *group_place(const struct leak_walk *walk, const struct tp_leak_group *group)
{
    size_t place = group_hash(group) & (walk->table_size - 1);
    while (walk->table[place].leak_class != 0 && !group_is(&walk->table[place], group))
        place = (place + 1) & (walk->table_size - 1);
    return &walk->table[place];
}

/* Where the table is nearly full, stacks that are new count as not known: there are few tags. */
static void group_add(struct leak_walk *walk, struct tp_leak_group *group)
{
    struct tp_leak_group *place = group_place(walk, group);
    if (place->leak_class == 0 && walk->table_used >= walk->table_size / 4 * 3) {
        group->stack = 0;
        place = group_place(walk, group);
    }
    if (place->leak_class == 0) {
        *place = *group;
        walk->table_used++;
        return;
    }
    place->blocks += group->blocks;
    place->bytes += group->bytes;
}

/* --- all blocks ----------------------------------------------------------------------------------------------- */

static enum tagpool_report_leak_class leak_class_of(const struct leak_walk *walk, const struct tp_inventory_node *node,
                                                    const struct tp_inventory_details *details)
{
    uint8_t state = walk->inventory->state[node->number];
    const struct tp_leak_look *look = walk->look;
    if ((state & TP_BLOCK_REACHED) != 0 || (look->is_second && !suspects_have(look->suspects, leak_key(node, details))))
        return TAGPOOL_REPORT_REACHABLE;
    return (state & TP_BLOCK_POSSIBLY) != 0 ? TAGPOOL_REPORT_POSSIBLY_LOST : TAGPOOL_REPORT_LOST;
}

static bool leak_is_looked_for(const struct leak_walk *walk, const struct tp_inventory_details *details)
{
    return !details->is_unsure && (walk->look->slots == NULL || walk->look->slots[details->slot] != 0);
}

static void leak_count(const struct tp_inventory_node *node, void *argument)
{
    struct leak_walk *walk = argument;
    if ((walk->inventory->state[node->number] & TP_BLOCK_REACHED) == 0)
        walk->lost++;
}

static void leak_take(const struct tp_inventory_node *node, void *argument)
{
    struct leak_walk *walk = argument;
    struct tp_inventory_details details;
    if (!tp_inventory_describe(walk->inventory, node, &details) || !leak_is_looked_for(walk, &details))
        return;
    struct tp_leak_group group = {leak_class_of(walk, node, &details), details.slot, 0, 0, 1, details.size};
    bool is_lost = group.leak_class != TAGPOOL_REPORT_REACHABLE;
    if (is_lost && walk->look->by_stack)
        group.stack = details.stack;
    if (is_lost && walk->look->suspects != NULL && !walk->look->is_second)
        suspects_add(walk->look->suspects, leak_key(node, &details));
    walk->result->blocks[group.leak_class]++;
    walk->result->bytes[group.leak_class] += details.size;
    group_add(walk, &group);
}

static int leak_make_table(struct leak_walk *walk)
{
    tp_inventory_each(walk->inventory, leak_count, walk);
    size_t most = tp_min(walk->lost, LEAK_TABLE_MOST / 4) +
                  TP_LEAK_CLASSES * (size_t)tp_min(TP_SLOT_COUNT, walk->inventory->node_count);
    walk->table_size = LEAK_TABLE_LEAST;
    while (walk->table_size < LEAK_TABLE_MOST && walk->table_size / 4 * 3 < most)
        walk->table_size *= 2;
    struct tp_image *image = walk->look->image;
    walk->table = image->memory(image, walk->table_size * sizeof(walk->table[0]));
    return walk->table != NULL ? 0 : -ENOMEM;
}

/* --- the largest ---------------------------------------------------------------------------------------------- */

static bool group_is_before(const struct tp_leak_group *a, const struct tp_leak_group *b)
{
    if (a->leak_class != b->leak_class)
        return a->leak_class < b->leak_class;
    if (a->bytes != b->bytes)
        return a->bytes > b->bytes;
    return a->slot != b->slot ? a->slot < b->slot : a->stack < b->stack;
}

/* Of a heap whose root comes last: below a place that may have been taken wrongly. */
static void group_sink(struct tp_leak_group *groups, size_t at, size_t count)
{
    for (size_t child; (child = 2 * at + 1) < count; at = child) {
        if (child + 1 < count && group_is_before(&groups[child], &groups[child + 1]))
            child++;
        if (!group_is_before(&groups[at], &groups[child]))
            return;
        struct tp_leak_group group = groups[at];
        groups[at] = groups[child];
        groups[child] = group;
    }
}

/* The library's sort may allocate. */
static void leak_sort(struct tp_leak_group *groups, size_t count)
{
    for (size_t i = count / 2; i-- > 0;)
        group_sink(groups, i, count);
    while (count-- > 1) {
        struct tp_leak_group last = groups[0];
        groups[0] = groups[count];
        groups[count] = last;
        group_sink(groups, 0, count);
    }
}

static size_t leak_gather(struct leak_walk *walk)
{
    size_t count = 0;
    for (size_t place = 0; place < walk->table_size; place++)
        if (walk->table[place].leak_class != 0)
            walk->table[count++] = walk->table[place];
    return count;
}

static void leak_finish(struct leak_walk *walk)
{
    struct tp_leak_result *result = walk->result;
    size_t count = leak_gather(walk), lost = 0;
    leak_sort(walk->table, count);
    for (size_t i = 0; i < count; i++) {
        bool is_lost = walk->table[i].leak_class != TAGPOOL_REPORT_REACHABLE;
        if (is_lost && lost++ >= TP_LEAK_LOST_GROUPS)
            result->groups_left_out++;
        else
            result->groups[result->group_count++] = walk->table[i];
    }
}

/* --- sites ---------------------------------------------------------------------------------------------------- */

/* Address of the stacks; 0: there are none. */
static uintptr_t leak_depot(struct tp_image *image, uintptr_t at)
{
    struct tp_chart chart;
    uintptr_t depot = 0;
    bool is_read = tp_inventory_read_chart(image, at, &chart) == 0 &&
                   tp_image_get(image, (uintptr_t)chart.depot, &depot, sizeof(depot));
    return is_read ? depot : 0;
}

static unsigned leak_frames(struct tp_image *image, uintptr_t depot, uint32_t stack, uintptr_t *frames, unsigned most)
{
    struct tp_stack_record record;
    uintptr_t place = depot + (size_t)stack * TP_STACK_ALIGNMENT;
    if (stack == 0 || !tp_image_get(image, place, &record, sizeof(record)) || record.count > TP_STACK_FRAMES)
        return 0;
    unsigned count = (unsigned)tp_min(record.count, most);
    return tp_image_get(image, place + sizeof(record), frames, count * sizeof(frames[0])) ? count : 0;
}

/* How a group's stack begins; `frames` is 1 where there is no more, 0 where nothing is known. */
struct leak_head {
    uintptr_t site;
    unsigned frames;
};

static void leak_read_heads(const struct leak_walk *walk, uintptr_t depot, struct leak_head *heads)
{
    const struct tp_leak_result *result = walk->result;
    for (uint32_t i = 0; i < result->group_count && result->groups[i].leak_class != TAGPOOL_REPORT_REACHABLE; i++) {
        uintptr_t frames[2] = {0, 0};
        heads[i].frames = leak_frames(walk->look->image, depot, result->groups[i].stack, frames, 2);
        heads[i].site = frames[0];
    }
}

/* The only group whose stack goes on where the one of group `i` ends; NULL: there is none, or more than one. */
static struct tp_leak_group *leak_only_whole(struct tp_leak_result *result, const struct leak_head *heads, uint32_t i)
{
    struct tp_leak_group *only = NULL, *group = &result->groups[i];
    for (uint32_t j = 0; j < tp_min(result->group_count, TP_LEAK_LOST_GROUPS); j++) {
        struct tp_leak_group *other = &result->groups[j];
        if (heads[j].frames < 2 || heads[j].site != heads[i].site || other->leak_class != group->leak_class ||
            other->slot != group->slot)
            continue;
        if (only != NULL)
            return NULL;
        only = other;
    }
    return only;
}

/* Where one stack in some is whole, blocks of one place are in two groups: they are one finding. */
static void leak_join_sites(struct leak_walk *walk)
{
    struct tp_leak_result *result = walk->result;
    struct tp_image *image = walk->look->image;
    uintptr_t depot = walk->look->by_stack ? leak_depot(image, walk->look->chart) : 0;
    struct leak_head *heads = depot != 0 ? image->memory(image, TP_LEAK_LOST_GROUPS * sizeof(*heads)) : NULL;
    if (heads == NULL)
        return;
    leak_read_heads(walk, depot, heads);
    for (uint32_t i = 0; i < tp_min(result->group_count, TP_LEAK_LOST_GROUPS); i++) {
        struct tp_leak_group *whole = heads[i].frames == 1 ? leak_only_whole(result, heads, i) : NULL;
        if (whole == NULL)
            continue;
        whole->blocks += result->groups[i].blocks;
        whole->bytes += result->groups[i].bytes;
        result->groups[i].blocks = 0;
    }
}

/* Those that were joined to others have no blocks of their own. */
static void leak_sort_again(struct tp_leak_result *result)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < result->group_count; i++)
        if (result->groups[i].blocks != 0)
            result->groups[count++] = result->groups[i];
    if (count == result->group_count)
        return;
    result->group_count = count;
    leak_sort(result->groups, count);
}

/* --- the interface -------------------------------------------------------------------------------------------- */

static int leak_mark(const struct tp_leak_look *look, struct tp_inventory *inventory, struct tp_mark *mark)
{
    const struct tp_roots roots = {look->words, look->word_count, look->stacks, look->stack_count, look->red_zone};
    int error = tp_mark_begin(mark, inventory);
    if (error == 0)
        error = tp_roots_mark(mark, &roots);
    if (error == 0)
        tp_mark_finish(mark);
    return error;
}

static int leak_tell(struct leak_walk *walk)
{
    int error = leak_make_table(walk);
    if (error != 0)
        return error;
    tp_inventory_each(walk->inventory, leak_take, walk);
    leak_finish(walk);
    leak_join_sites(walk);
    leak_sort_again(walk->result);
    return 0;
}

int tp_leak_find(const struct tp_leak_look *look, struct tp_leak_result *result)
{
    struct tp_inventory inventory;
    struct tp_mark mark;
    struct leak_walk walk = {.look = look, .inventory = &inventory, .result = result};
    memset(result, 0, sizeof(*result));
    int error = tp_inventory_make(&inventory, look->image, look->chart);
    if (error == 0)
        error = leak_mark(look, &inventory, &mark);
    return error == 0 ? leak_tell(&walk) : error;
}

unsigned tp_leak_frames(struct tp_image *image, uintptr_t chart, uint32_t stack, uintptr_t *frames, unsigned most)
{
    uintptr_t depot = leak_depot(image, chart);
    return depot != 0 ? leak_frames(image, depot, stack, frames, most) : 0;
}
