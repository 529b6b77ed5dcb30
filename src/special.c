#include "special.h"
#include "account.h"
#include "limit.h"
#include "lock.h"
#include "nonpaged.h"
#include "os.h"
#include "quota.h"

#include <string.h>

/* The area is as large as the address space allows, between these. */
#define SPECIAL_AREA_MOST ((size_t)1 << 40)
#define SPECIAL_AREA_LEAST (64 * TP_MIB)

/* Of a bounded address space, the part that special pool takes. */
#define SPECIAL_SHARE 4

/* Pages get guards in steps: one call for many runs. */
#define SPECIAL_STEP (4 * TP_MIB)

/* Runs of so many pages have bins of their own; longer ones are rounded up to powers of two. */
#define SPECIAL_EXACT 64u
#define SPECIAL_BINS (SPECIAL_EXACT + 32u)

/* Quarantine: so many blocks, and so many pages of them; but of a small area no more than a part. */
#define SPECIAL_QUARANTINE 65536u
#define SPECIAL_QUARANTINE_PAGES ((16 * TP_GIB) >> TP_OS_PAGE_SHIFT)
#define SPECIAL_QUARANTINE_SHARE 2

/* Record 0 is none. */
struct special_list {
    uint32_t first;
    uint32_t last;
    uint32_t count;
    size_t pages;
};

struct tp_special_area tp_special_area;

/* Tables behind the area in one reservation, committed as they are used. */
static struct special_table {
    char *base;
    size_t row;
    size_t committed; /* bytes */
} special_map = {.row = sizeof(uint32_t)}, special_records = {.row = sizeof(struct tp_special)},
  special_saved = {.row = 2 * TP_SPECIAL_KEPT};

static size_t special_pages;    /* of the area */
static size_t special_next;     /* page: none beyond it belongs to a run */
static size_t special_prepared; /* pages that have guards */
static uint32_t special_count = 1;
static struct special_list special_bins[SPECIAL_BINS];
static struct special_list special_quarantine;
static uint32_t special_quarantine_most = SPECIAL_QUARANTINE;
static enum tp_guard_kind special_guards;
static bool special_is_ready, special_has_failed;

void tp_special_configure(enum tp_guard_kind guards, uint32_t quarantine)
{
    special_guards = guards;
    if (quarantine != 0)
        special_quarantine_most = quarantine;
}

/* --- tables --------------------------------------------------------------------------------------------------- */

static bool special_table_ready(struct special_table *table, size_t rows)
{
    size_t size = tp_round_up(rows * table->row, 64 * TP_KIB);
    if (size <= table->committed)
        return true;
    if (tp_os_commit(table->base + table->committed, size - table->committed) != 0)
        return false;
    table->committed = size;
    return true;
}

static uint32_t *special_map_at(size_t page)
{
    return (uint32_t *)special_map.base + page;
}

static struct tp_special *special_record(uint32_t index)
{
    return (struct tp_special *)special_records.base + index;
}

static uint32_t special_index(const struct tp_special *special)
{
    return (uint32_t)(special - (const struct tp_special *)special_records.base);
}

static char *special_saved_at(uint32_t index)
{
    return special_saved.base + (size_t)index * special_saved.row;
}

static char *special_page_address(size_t page)
{
    return (char *)tp_special_area.base + (page << TP_OS_PAGE_SHIFT);
}

/* --- the area ------------------------------------------------------------------------------------------------- */

/* Two pages a run at least. */
static size_t special_tables_size(size_t pages)
{
    size_t records = pages / 2 + 1;
    return tp_round_up(pages * special_map.row, TP_UNIT) + tp_round_up(records * special_records.row, TP_UNIT) +
           tp_round_up(records * special_saved.row, TP_UNIT);
}

static char *special_reserve(size_t *size)
{
    size_t limit = tp_os_limit_address_space();
    *size = SPECIAL_AREA_MOST;
    while (*size > SPECIAL_AREA_LEAST && *size > limit / SPECIAL_SHARE)
        *size /= 2;
    for (; *size >= SPECIAL_AREA_LEAST; *size /= 2) {
        char *base = tp_os_reserve(*size + special_tables_size(*size >> TP_OS_PAGE_SHIFT));
        if (base != NULL)
            return base;
    }
    return NULL;
}

static void special_place_tables(char *at)
{
    size_t records = special_pages / 2 + 1;
    special_map.base = at;
    special_records.base = special_map.base + tp_round_up(special_pages * special_map.row, TP_UNIT);
    special_saved.base = special_records.base + tp_round_up(records * special_records.row, TP_UNIT);
}

/* The lock is held.  Not again after it failed: the address space does not grow. */
static bool special_make_ready(void)
{
    size_t size;
    if (special_is_ready || special_has_failed)
        return special_is_ready;
    char *base = tp_guard_init(special_guards) == 0 ? special_reserve(&size) : NULL;
    special_has_failed = base == NULL;
    if (base == NULL)
        return false;
    special_pages = size >> TP_OS_PAGE_SHIFT;
    special_place_tables(base + size);
    special_next = 1; /* the guard before the first block */
    tp_special_area.reserved = size + special_tables_size(special_pages);
    tp_special_area.map = special_map_at(0);
    tp_special_area.records = special_record(0);
    tp_poke(&tp_special_area.base, (uintptr_t)base);
    return special_is_ready = true;
}

static bool special_prepare(size_t pages)
{
    if (pages <= special_prepared)
        return true;
    size_t more = tp_round_up((pages - special_prepared) << TP_OS_PAGE_SHIFT, SPECIAL_STEP) >> TP_OS_PAGE_SHIFT;
    more = tp_min(more, special_pages - special_prepared);
    if (!special_table_ready(&special_map, special_prepared + more) ||
        tp_guard_prepare(special_page_address(special_prepared), more << TP_OS_PAGE_SHIFT) != 0)
        return false;
    special_prepared += more;
    tp_publish(&tp_special_area.used, special_prepared << TP_OS_PAGE_SHIFT);
    return true;
}

/* --- runs ----------------------------------------------------------------------------------------------------- */

/* Pages of a run in the bin of `room`, which is rounded up to them. */
static unsigned special_bin(uint32_t *room)
{
    if (*room < SPECIAL_EXACT)
        return *room;
    unsigned log = 32 - (unsigned)__builtin_clz(*room - 1);
    *room = UINT32_C(1) << log;
    return SPECIAL_EXACT + log;
}

static void special_append(struct special_list *list, uint32_t index)
{
    special_record(index)->next = 0;
    if (list->last != 0)
        special_record(list->last)->next = index;
    else
        list->first = index;
    list->last = index;
    list->count++;
    list->pages += special_record(index)->room;
}

static uint32_t special_take_first(struct special_list *list)
{
    uint32_t index = list->first;
    if (index == 0)
        return 0;
    list->first = special_record(index)->next;
    if (list->first == 0)
        list->last = 0;
    list->count--;
    list->pages -= special_record(index)->room;
    return index;
}

/* A run of pages that were never any. */
static uint32_t special_carve(uint32_t room)
{
    uint32_t index = special_count;
    if (room > special_pages - special_next || !special_prepare(special_next + room) ||
        !special_table_ready(&special_records, index + 1) || !special_table_ready(&special_saved, index + 1))
        return 0;
    struct tp_special *special = special_record(index);
    special->first = (uint32_t)special_next;
    special->room = room;
    for (uint32_t i = 0; i < room; i++)
        *special_map_at(special_next + i) = index;
    special_next += room;
    tp_publish(&special_count, index + 1);
    tp_publish(&tp_special_area.records_used, index + 1);
    return index;
}

static uint32_t special_take_run(uint32_t room)
{
    tp_lock(TP_LOCK_SPECIAL);
    uint32_t index = 0;
    if (special_make_ready()) {
        index = special_take_first(&special_bins[special_bin(&room)]);
        if (index == 0)
            index = special_carve(room);
    }
    tp_unlock(TP_LOCK_SPECIAL);
    return index;
}

static void special_give_run(uint32_t index)
{
    uint32_t room = special_record(index)->room;
    tp_lock(TP_LOCK_SPECIAL);
    special_append(&special_bins[special_bin(&room)], index);
    tp_unlock(TP_LOCK_SPECIAL);
}

static bool special_quarantine_is_full(void)
{
    return special_quarantine.count > special_quarantine_most ||
           special_quarantine.pages > tp_min(SPECIAL_QUARANTINE_PAGES, special_pages / SPECIAL_QUARANTINE_SHARE);
}

/* The longest in quarantine makes room for a block that was freed now. */
static void special_detain(uint32_t index)
{
    tp_lock(TP_LOCK_SPECIAL);
    special_append(&special_quarantine, index);
    while (special_quarantine_is_full()) {
        uint32_t oldest = special_take_first(&special_quarantine);
        uint32_t room = special_record(oldest)->room;
        special_append(&special_bins[special_bin(&room)], oldest);
    }
    tp_unlock(TP_LOCK_SPECIAL);
}

/* --- where a block lies in its run ---------------------------------------------------------------------------- */

/* Open pages of a block: whole ones. */
static char *special_open_from(const struct tp_special *special)
{
    return (char *)((uintptr_t)special->block & ~(TP_OS_PAGE - 1));
}

static char *special_open_to(const struct tp_special *special)
{
    return (char *)tp_round_up((uintptr_t)special->block + special->size, TP_OS_PAGE);
}

static size_t special_open_bytes(const struct tp_special *special)
{
    return special->size != 0 ? (size_t)(special_open_to(special) - special_open_from(special)) : 0;
}

/* The API's blocks of an OS page and more begin on one (tagpool.h), whether or not they end on one. */
static size_t special_alignment(const struct tp_checked_request *request)
{
    if (request->exact && request->alignment <= 16)
        return 1;
    if (tp_tags[request->slot].layout != TP_LAYOUT_MALLOC && request->size >= TP_OS_PAGE)
        return tp_max(request->alignment, TP_OS_PAGE);
    return request->alignment;
}

/* A block of no bytes begins where a guard does. */
static char *special_place(const struct tp_special *special, const struct tp_checked_request *request)
{
    size_t alignment = special_alignment(request);
    char *start = special_page_address(special->first);
    if (alignment > TP_OS_PAGE)
        start = (char *)tp_round_up((uintptr_t)start, alignment);
    if (request->under || request->size == 0 || alignment >= TP_OS_PAGE)
        return start;
    size_t bytes = tp_round_up(request->size, alignment);
    return start + tp_round_up(bytes, TP_OS_PAGE) - bytes;
}

/* Pages of the run: the block's, what its alignment may need, and the guard. */
static size_t special_room(const struct tp_checked_request *request)
{
    size_t data = tp_round_up(request->size, TP_OS_PAGE) >> TP_OS_PAGE_SHIFT;
    size_t extra = request->alignment > TP_OS_PAGE ? (request->alignment >> TP_OS_PAGE_SHIFT) - 1 : 0;
    return data + extra + 1;
}

/* --- memory that a block needs -------------------------------------------------------------------------------- */

/* Nonpaged memory is there when it is needed, and counts as locked. */
static bool special_wire(const struct tp_special *special, size_t bytes)
{
    if (tp_tags[special->slot].region != 0)
        return true;
    if (!tp_nonpaged_charge(bytes))
        return false;
    if (tp_os_populate(special_open_from(special), bytes) == 0)
        return true;
    tp_nonpaged_uncharge(bytes);
    return false;
}

/* Counted in the pool's bound first (J1). */
static bool special_open(const struct tp_special *special)
{
    size_t bytes = special_open_bytes(special);
    struct tp_meter *pool = tp_limit_pool_of(special->slot);
    if (bytes == 0)
        return true;
    if (!tp_limit_grow(pool, bytes))
        return false;
    if (tp_guard_open(special_open_from(special), bytes) == 0) {
        if (special_wire(special, bytes))
            return true;
        tp_guard_close(special_open_from(special), bytes);
    }
    tp_limit_shrink(pool, bytes);
    return false;
}

static void special_close(const struct tp_special *special)
{
    size_t bytes = special_open_bytes(special);
    if (bytes == 0)
        return;
    tp_guard_close(special_open_from(special), bytes);
    tp_limit_shrink(tp_limit_pool_of(special->slot), bytes);
    if (tp_tags[special->slot].region == 0)
        tp_nonpaged_uncharge(bytes);
}

/* --- allocate ------------------------------------------------------------------------------------------------- */

static void special_describe(struct tp_special *special, const struct tp_checked_request *request, uint32_t thread)
{
    special->block = special_place(special, request);
    special->size = request->size;
    special->slot = (uint16_t)request->slot;
    special->account = (uint16_t)request->account;
    special->face = (uint8_t)request->face;
    special->pattern = (uint8_t)(0x80 | (special_index(special) * 37 & 0x7f));
    special->alloc_stack = tp_trace_take(request->call, request->trace);
    special->alloc_thread = thread;
    special->free_stack = special->free_thread = 0;
}

static void special_fill_around(const struct tp_special *special)
{
    if (special->size == 0)
        return;
    tp_checked_fill(special_open_from(special), special->block, special->pattern);
    tp_checked_fill(special->block + special->size, special_open_to(special), special->pattern);
}

static void special_count_alloc(struct tp_thread *thread, uint32_t slot, size_t bytes)
{
    if (thread != NULL)
        tp_account_alloc(thread, slot, bytes);
    else
        tp_account_alloc_direct(slot, bytes);
}

static bool special_make(struct tp_special *special, const struct tp_checked_request *request, uint32_t thread)
{
    struct tp_meter *tag = &tp_tags[request->slot].meter;
    size_t bytes = tp_checked_bytes(request->size);
    special_describe(special, request, thread);
    if (!tp_limit_grow(tag, bytes))
        return false;
    if (special_open(special))
        return true;
    tp_limit_shrink(tag, bytes);
    return false;
}

/* Fresh pages read as zero. */
void *tp_special_alloc(struct tp_thread *thread, const struct tp_checked_request *request)
{
    size_t room = special_room(request);
    uint32_t index = room <= SPECIAL_AREA_MOST >> (TP_OS_PAGE_SHIFT + 1) ? special_take_run((uint32_t)room) : 0;
    if (index == 0)
        return NULL;
    struct tp_special *special = special_record(index);
    if (!special_make(special, request, tp_checked_thread(thread))) {
        special_give_run(index);
        return NULL;
    }
    special_fill_around(special);
    special_count_alloc(thread, request->slot, tp_checked_bytes(request->size));
    tp_publish(&special->state, TP_SPECIAL_LIVE);
    return special->block;
}

/* --- look up -------------------------------------------------------------------------------------------------- */

static struct tp_special *special_find(const void *p)
{
    if (!tp_special_owns(p))
        return NULL;
    uint32_t index = *special_map_at(((uintptr_t)p - tp_special_area.base) >> TP_OS_PAGE_SHIFT);
    return index != 0 ? special_record(index) : NULL;
}

const struct tp_special *tp_special_at(const void *p)
{
    return special_find(p);
}

/* How far an address is from a block, either side; blocks that were never any are far from everything. */
static size_t special_distance(const struct tp_special *special, const char *p)
{
    if (special == NULL || special->state == TP_SPECIAL_FREE)
        return SIZE_MAX;
    size_t dead = special->state == TP_SPECIAL_FREED ? SIZE_MAX / 2 : 0;
    if (p < special->block)
        return dead + (size_t)(special->block - p);
    return dead + (p >= special->block + special->size ? (size_t)(p - special->block - special->size) : 0);
}

const struct tp_special *tp_special_blame(const void *p)
{
    const struct tp_special *here = special_find(p);
    if (here == NULL)
        return special_find((const void *)((uintptr_t)p + TP_OS_PAGE));
    size_t guard = (size_t)here->first + here->room - 1;
    if ((const char *)p < special_page_address(guard))
        return here;
    const struct tp_special *next = special_find(special_page_address(guard + 1));
    return special_distance(next, p) < special_distance(here, p) ? next : here;
}

bool tp_special_is_open(const struct tp_special *special, const void *p)
{
    return tp_peek(&special->state) == TP_SPECIAL_LIVE && special->size != 0 &&
           (const char *)p >= special_open_from(special) && (const char *)p < special_open_to(special);
}

static __attribute__((noreturn, cold)) void special_stop(const struct tp_special *special, const void *p)
{
    if (special == NULL || special->state == TP_SPECIAL_FREE)
        tp_stop(TP_CALLER_INVALID, (uintptr_t)p, 0, 0, p, 0);
    uint32_t tag = tp_tags[special->slot].tag;
    if (special->block != p)
        tp_stop(TP_CALLER_MIDDLE, (uintptr_t)p, (uintptr_t)special->block,
                (uintptr_t)((const char *)p - special->block), p, tag);
    tp_stop(TP_CALLER_FREED_TWICE, 0, tag, (uintptr_t)p, p, tag);
}

const struct tp_special *tp_special_look_up(const void *p)
{
    const struct tp_special *special = special_find(p);
    if (special == NULL || special->block != p || !tp_special_lives(special))
        special_stop(special, p);
    return special;
}

void tp_special_forget_account(const void *p)
{
    special_find(p)->account = TP_ACCOUNT_NONE;
}

/* --- free ----------------------------------------------------------------------------------------------------- */

/* What was changed around a block, and which rule forbids it; NULL: nothing was. */
static const char *special_find_change(const struct tp_special *special, enum tp_rule *rule)
{
    if (special->size == 0)
        return NULL;
    *rule = TP_SPECIAL_UNDERRUN_FOUND;
    const char *changed = tp_checked_find_change(special_open_from(special), special->block, special->pattern);
    if (TP_UNLIKELY(changed != NULL))
        return changed;
    *rule = TP_SPECIAL_OVERRUN_FOUND;
    return tp_checked_find_change(special->block + special->size, special_open_to(special), special->pattern);
}

/* The caller holds the record (B2); a stop is made of one that is live. */
static void special_check(struct tp_special *special)
{
    enum tp_rule rule;
    const char *changed = special_find_change(special, &rule);
    if (TP_LIKELY(changed == NULL))
        return;
    tp_publish(&special->state, TP_SPECIAL_LIVE);
    tp_stop(rule, (uintptr_t)special->block, (uintptr_t)changed, 0, changed, tp_tags[special->slot].tag);
}

static void special_keep(const struct tp_special *special)
{
    char *saved = special_saved_at(special_index(special));
    size_t count = tp_min(special->size, TP_SPECIAL_KEPT);
    memcpy(saved, special->block, count);
    memcpy(saved + TP_SPECIAL_KEPT, special->block + special->size - count, count);
}

uint32_t tp_special_kept(const struct tp_special *special, const char **first, const char **last)
{
    *first = special_saved_at(special_index(special));
    *last = *first + TP_SPECIAL_KEPT;
    return (uint32_t)tp_min(special->size, TP_SPECIAL_KEPT);
}

static void special_count_free_now(struct tp_thread *thread, uint32_t slot, size_t bytes)
{
    if (thread != NULL)
        tp_account_free(thread, slot, bytes);
    else
        tp_account_free_direct(slot, bytes);
}

static void special_count_free(struct tp_thread *thread, const struct tp_special *special)
{
    size_t bytes = tp_checked_bytes(special->size);
    bool near = tp_limit_free_begin(special->slot);
    special_count_free_now(thread, special->slot, bytes);
    tp_limit_free_end(near, special->slot, bytes);
    tp_limit_shrink(&tp_tags[special->slot].meter, bytes);
    if (special->account != TP_ACCOUNT_NONE)
        tp_quota_uncharge(special->account, tp_tags[special->slot].region, bytes);
}

/* From LIVE to HELD (B2); false: it does not live, also after others held it. */
static bool special_hold(struct tp_special *special)
{
    for (;;) {
        uint8_t state = TP_SPECIAL_LIVE;
        if (__atomic_compare_exchange_n(&special->state, &state, TP_SPECIAL_HELD, false, __ATOMIC_ACQ_REL,
                                        __ATOMIC_ACQUIRE))
            return true;
        if (state != TP_SPECIAL_HELD)
            return false;
        tp_os_sleep_ms(1);
    }
}

/* Ended before its pages are guards: who touches them then touches a freed block. */
void tp_special_free(struct tp_thread *thread, void *p, const struct tp_checked_free *how)
{
    struct tp_special *special = special_find(p);
    if (special == NULL || special->block != p || !tp_special_lives(special))
        special_stop(special, p);
    tp_checked_stop_unless_match(p, special->slot, special->size, special->face, how);
    if (!special_hold(special))
        special_stop(special, p);
    special_check(special);
    /* Who wants no stacks gets none: blocks of no bytes where all are hardened. */
    special->free_stack = special->alloc_stack != 0 ? tp_trace_take(how->call, TP_TRACE_DEEP) : 0;
    special->free_thread = tp_checked_thread(thread);
    tp_publish(&special->state, TP_SPECIAL_FREED);
    special_keep(special);
    special_close(special);
    special_count_free(thread, special);
    special_detain(special_index(special));
}

/* --- all of them ---------------------------------------------------------------------------------------------- */

void tp_special_each(void (*each)(const struct tp_special *special, void *argument), void *argument)
{
    uint32_t count = __atomic_load_n(&special_count, __ATOMIC_ACQUIRE);
    for (uint32_t index = 1; index < count; index++)
        if (tp_special_lives(special_record(index)))
            each(special_record(index), argument);
}

void tp_special_check_all(void)
{
    uint32_t count = __atomic_load_n(&special_count, __ATOMIC_ACQUIRE);
    for (uint32_t index = 1; index < count; index++) {
        struct tp_special *special = special_record(index);
        if (!special_hold(special))
            continue;
        special_check(special);
        tp_publish(&special->state, TP_SPECIAL_LIVE);
    }
}

/* --- fork ----------------------------------------------------------------------------------------------------- */

/* Nobody holds it here, whoever did. */
static void special_inherit(const struct tp_special *special, void *argument)
{
    special_record(special_index(special))->state = TP_SPECIAL_LIVE;
    size_t bytes = tp_checked_bytes(special->size);
    tp_account_alloc(tp_thread_orphans, special->slot, bytes);
    if (special->account != TP_ACCOUNT_NONE)
        tp_quota_inherit(special->account, tp_tags[special->slot].region, bytes);
}

/* Lists that were in somebody's hands are forgotten; what they held is not used again. */
void tp_special_adopt(bool consistent)
{
    if (!special_is_ready)
        return;
    if (!consistent) {
        memset(special_bins, 0, sizeof(special_bins));
        special_quarantine = (struct special_list){0};
    }
    tp_guard_adopt();
    tp_special_each(special_inherit, NULL);
}
