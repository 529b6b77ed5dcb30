#include "stack.h"
#include "metadata.h"
#include "os.h"
#include "walk.h"

#include <dlfcn.h>
#include <link.h>
#include <string.h>

/* The table is not made larger: with a full depot, some five records share an entry. */
#define STACK_BUCKETS (UINT64_C(1) << 20)

#define STACK_STEP TP_MIB
#define STACK_LIMIT_LEAST (STACK_BUCKETS * sizeof(uint32_t) + 2 * STACK_STEP)

/* Of a limited address space the depot takes one part in so many. */
#define STACK_SHARE 16

struct tp_stack_depot {
    size_t size;
    size_t used;      /* only goes up */
    size_t committed; /* only goes up, in whole steps */
    uint32_t buckets[STACK_BUCKETS];
};

#define STACK_FIRST tp_round_up(sizeof(struct tp_stack_depot), STACK_STEP)

size_t tp_stack_limit = TP_GIB;

struct tp_stack_depot *tp_stack_depot;
static uint64_t stack_kept_total;
static uint64_t stack_lost_total;

/* --- the depot ------------------------------------------------------------------------------------------------ */

static size_t stack_size_wanted(void)
{
    size_t space = tp_os_limit_address_space();
    return tp_min(tp_stack_limit, space / STACK_SHARE) & ~(STACK_STEP - 1);
}

static struct tp_stack_depot *stack_reserve(size_t *size)
{
    for (*size = stack_size_wanted(); *size >= STACK_LIMIT_LEAST; *size = *size / 2 & ~(STACK_STEP - 1)) {
        struct tp_stack_depot *depot = tp_os_reserve(*size);
        if (depot != NULL)
            return depot;
    }
    return NULL;
}

/* Whoever is second gives its depot back. */
static TP_NOINLINE struct tp_stack_depot *stack_create(void)
{
    size_t size;
    struct tp_stack_depot *none = NULL;
    struct tp_stack_depot *depot = stack_reserve(&size);
    if (depot == NULL)
        return NULL;
    tp_os_no_huge_pages(depot, size);
    if (tp_os_commit(depot, STACK_FIRST) == 0) {
        depot->size = size;
        depot->used = STACK_FIRST;
        depot->committed = STACK_FIRST;
        if (__atomic_compare_exchange_n(&tp_stack_depot, &none, depot, false, __ATOMIC_RELEASE, __ATOMIC_ACQUIRE)) {
            tp_metadata_count(STACK_FIRST);
            return depot;
        }
    }
    tp_os_release(depot, size);
    return none;
}

static struct tp_stack_depot *stack_open(void)
{
    struct tp_stack_depot *depot = __atomic_load_n(&tp_stack_depot, __ATOMIC_ACQUIRE);
    return TP_LIKELY(depot != NULL) ? depot : stack_create();
}

static struct tp_stack_record *stack_at(struct tp_stack_depot *depot, uint32_t number)
{
    return (struct tp_stack_record *)((char *)depot + (size_t)number * TP_STACK_ALIGNMENT);
}

/* To commit twice what two threads want at a time does no harm; only one of them counts it. */
static bool stack_commit(struct tp_stack_depot *depot, size_t end)
{
    size_t committed = __atomic_load_n(&depot->committed, __ATOMIC_ACQUIRE);
    if (end <= committed)
        return true;
    size_t wanted = tp_round_up(end, STACK_STEP);
    if (tp_os_commit((char *)depot + committed, wanted - committed) != 0)
        return false;
    size_t seen = committed;
    while (seen < wanted &&
           !__atomic_compare_exchange_n(&depot->committed, &seen, wanted, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
        ;
    if (seen < wanted)
        tp_metadata_count(wanted - seen);
    return true;
}

/* Room for a record; 0: no memory. */
static uint32_t stack_carve(struct tp_stack_depot *depot, unsigned count)
{
    size_t size = tp_round_up(sizeof(struct tp_stack_record) + count * sizeof(uintptr_t), TP_STACK_ALIGNMENT);
    size_t used = tp_peek(&depot->used);
    do {
        if (size > depot->size - used)
            return 0;
    } while (!__atomic_compare_exchange_n(&depot->used, &used, used + size, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
    return stack_commit(depot, used + size) ? (uint32_t)(used / TP_STACK_ALIGNMENT) : 0;
}

/* --- the table ------------------------------------------------------------------------------------------------ */

/* Any of this run alone: addresses are taken as they are. */
static uint64_t stack_mix(const uintptr_t *frames, unsigned count)
{
    uint64_t hash = count;
    for (unsigned i = 0; i < count; i++) {
        hash = (hash ^ frames[i]) * UINT64_C(0x9e3779b97f4a7c15);
        hash ^= hash >> 32;
    }
    return hash;
}

/* From `number` on until `end`, which is looked at no more; 0: not there. */
static uint32_t stack_find(struct tp_stack_depot *depot, uint32_t number, uint32_t end,
                           const struct tp_stack_record *wanted, const uintptr_t *frames)
{
    while (number != end) {
        const struct tp_stack_record *record = stack_at(depot, number);
        if (record->hash == wanted->hash && record->count == wanted->count &&
            memcmp(record->frames, frames, wanted->count * sizeof(frames[0])) == 0)
            return number;
        number = record->next;
    }
    return 0;
}

/* `head` is as far as the table was searched. */
static uint32_t stack_add(struct tp_stack_depot *depot, uint32_t *bucket, uint32_t head,
                          const struct tp_stack_record *wanted, const uintptr_t *frames)
{
    uint32_t number = stack_carve(depot, wanted->count);
    if (number == 0)
        return 0;
    struct tp_stack_record *record = stack_at(depot, number);
    *record = *wanted;
    memcpy(record->frames, frames, wanted->count * sizeof(frames[0]));
    record->next = head;
    while (!__atomic_compare_exchange_n(bucket, &head, number, false, __ATOMIC_RELEASE, __ATOMIC_ACQUIRE)) {
        uint32_t other = stack_find(depot, head, record->next, wanted, frames); /* S2 */
        if (other != 0)
            return other;
        record->next = head;
    }
    __atomic_fetch_add(&stack_kept_total, 1, __ATOMIC_RELAXED);
    return number;
}

/* --- the interface -------------------------------------------------------------------------------------------- */

unsigned tp_stack_capture(const struct tp_call *call, uintptr_t *frames, unsigned most)
{
    struct tp_walk walk = {.frame = {.pc = call->pc, .sp = call->sp}, .call = call};
    tp_extent_open(&walk.extent, call->sp);
    return tp_walk_run(&walk, frames, most);
}

/* A call of what is no function: where it came from lies on top of the stack. */
static bool stack_skip_wild_pc(struct tp_walk *walk)
{
    uintptr_t caller;
    if (tp_walk_rule_at(walk->frame.pc).base != TP_FRAME_UNKNOWN ||
        !tp_extent_read(&walk->extent, walk->frame.sp, &caller) || tp_walk_rule_at(caller).base == TP_FRAME_UNKNOWN)
        return false;
    walk->frame.pc = caller;
    walk->frame.sp += sizeof(caller);
    return true;
}

unsigned tp_stack_capture_at(uintptr_t pc, uintptr_t sp, uintptr_t fp, uintptr_t *frames, unsigned most)
{
    if (most == 0)
        return 0;
    /* Rules are looked up by return address, one behind the instruction that they are for. */
    struct tp_walk walk = {.frame = {pc + 1, sp, fp, true}};
    tp_extent_open(&walk.extent, sp);
    unsigned first = stack_skip_wild_pc(&walk) ? 1 : 0;
    unsigned count = first + tp_walk_run(&walk, frames + first, most - first);
    frames[0] = pc;
    return count;
}

uint32_t tp_stack_put(const uintptr_t *frames, unsigned count)
{
    if (count == 0)
        return 0;
    count = count < TP_STACK_FRAMES ? count : TP_STACK_FRAMES;
    uint32_t number = 0;
    struct tp_stack_depot *depot = stack_open();
    if (depot != NULL) {
        struct tp_stack_record wanted = {.hash = stack_mix(frames, count), .count = count};
        uint32_t *bucket = &depot->buckets[wanted.hash % STACK_BUCKETS];
        uint32_t head = __atomic_load_n(bucket, __ATOMIC_ACQUIRE);
        number = stack_find(depot, head, 0, &wanted, frames);
        if (number == 0)
            number = stack_add(depot, bucket, head, &wanted, frames);
    }
    if (number == 0)
        __atomic_fetch_add(&stack_lost_total, 1, __ATOMIC_RELAXED);
    return number;
}

unsigned tp_stack_get(uint32_t number, const uintptr_t **frames)
{
    struct tp_stack_depot *depot = __atomic_load_n(&tp_stack_depot, __ATOMIC_ACQUIRE);
    size_t offset = (size_t)number * TP_STACK_ALIGNMENT;
    if (depot == NULL || offset < STACK_FIRST || offset >= tp_peek(&depot->used))
        return 0;
    const struct tp_stack_record *record = stack_at(depot, number);
    *frames = record->frames;
    return record->count;
}

struct tp_stack_totals tp_stack_totals(void)
{
    struct tp_stack_depot *depot = __atomic_load_n(&tp_stack_depot, __ATOMIC_ACQUIRE);
    return (struct tp_stack_totals){
        .kept_total = tp_peek(&stack_kept_total),
        .lost_total = tp_peek(&stack_lost_total),
        .bytes = depot != NULL ? tp_peek(&depot->used) - STACK_FIRST : 0,
    };
}

/* --- the same in every run ------------------------------------------------------------------------------------ */

/* FNV-1a. */
#define STACK_HASH_FIRST UINT64_C(0xcbf29ce484222325)
#define STACK_HASH_FACTOR UINT64_C(0x100000001b3)

static uint64_t stack_hash_bytes(uint64_t hash, const void *from, size_t size)
{
    for (const uint8_t *byte = from; size > 0; byte++, size--)
        hash = (hash ^ *byte) * STACK_HASH_FACTOR;
    return hash;
}

static uint64_t stack_hash_frame(uint64_t hash, uintptr_t pc)
{
    struct dl_find_object object;
    uint64_t distance = UINT64_MAX;
    const char *name = "(generated code)";
    /* The last instruction of a library may be a call: look at the call, not behind it. */
    if (_dl_find_object((void *)(pc - 1), &object) == 0) {
        const char *path = object.dlfo_link_map->l_name != NULL ? object.dlfo_link_map->l_name : "";
        const char *slash = strrchr(path, '/');
        name = slash != NULL ? slash + 1 : path;
        distance = pc - object.dlfo_link_map->l_addr;
    }
    hash = stack_hash_bytes(hash, name, strlen(name) + 1);
    return stack_hash_bytes(hash, &distance, sizeof(distance));
}

uint64_t tp_stack_hash(const uintptr_t *frames, unsigned count)
{
    uint64_t hash = STACK_HASH_FIRST;
    for (unsigned i = 0; i < count; i++)
        hash = stack_hash_frame(hash, frames[i]);
    return hash;
}
