#include "snapshot.h"
#include "label.h"
#include "memory.h"
#include "process.h"
#include "procfs.h"
#include "report.h"
#include "symbol.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static uint64_t snapshot_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* ---- a pool ---- */

static char *pool_read_name(const struct tagpool_segment_slot *slot, struct symbol_process *symbols)
{
    char clean[TAGPOOL_SEGMENT_NAME], tag[LABEL_TAG];
    label_clean(clean, sizeof(clean), slot->name, sizeof(slot->name));
    char *symbol = slot->face == TAGPOOL_SEGMENT_SITE ? symbol_name(symbols, clean) : NULL;
    if (symbol != NULL)
        return symbol;
    return memory_copy_text(clean[0] != '\0' ? clean : label_tag(tag, slot->tag));
}

static void pool_fill(struct pool *pool, uint32_t index, const struct tagpool_segment_slot *slot,
                      const struct tp_census_sum *sum)
{
    pool->slot = index;
    pool->tag = slot->tag;
    pool->kind = slot->kind & 1 ? POOL_PAGED : POOL_NONPAGED;
    pool->is_api = slot->face == TAGPOOL_SEGMENT_API;
    pool->moved = sum->moved;
    pool->allocs = sum->allocs;
    pool->frees = sum->frees;
    pool->diff = tp_census_live_blocks(sum);
    pool->bytes = tp_census_live_bytes(sum);
    pool->peak_bytes = sum->peak_bytes > pool->bytes ? sum->peak_bytes : pool->bytes;
    pool->soft_bytes = slot->soft_bytes;
    pool->hard_bytes = slot->hard_bytes;
    pool->refused = slot->refused_total;
    pool->per_alloc = pool->diff != 0 ? pool->bytes / pool->diff : 0;
}

static void pool_compare(struct pool *pool, const struct pool *before)
{
    pool->change = (struct pool_change){
        .allocs = (int64_t)(pool->allocs - before->allocs),
        .frees = (int64_t)(pool->frees - before->frees),
        .diff = (int64_t)(pool->diff - before->diff),
        .bytes = (int64_t)(pool->bytes - before->bytes),
        .per_alloc = (int64_t)(pool->per_alloc - before->per_alloc),
    };
}

/* ---- a process ---- */

static const struct accounts *accounts_before(const struct snapshot *before, pid_t pid, uint64_t nonce)
{
    for (size_t i = 0; before != NULL && i < before->count; i++)
        if (before->items[i].pid == pid && before->items[i].nonce == nonce)
            return &before->items[i];
    return NULL;
}

/* Both lists are in the order of slots, so one walk along the old one finds all; *at is where it has come to. */
static const struct pool *accounts_pool_before(const struct accounts *before, uint32_t slot, size_t *at)
{
    if (before == NULL)
        return NULL;
    while (*at < before->pool_count && before->pools[*at].slot < slot)
        ++*at;
    return *at < before->pool_count && before->pools[*at].slot == slot ? &before->pools[*at] : NULL;
}

static void accounts_fill_pools(struct accounts *accounts, const struct segfile_reading *reading,
                                const struct accounts *before)
{
    static const struct pool nothing;
    struct symbol_process *symbols = symbol_open(accounts->pid, accounts->program);
    size_t at = 0;
    for (uint32_t i = TAGPOOL_SEGMENT_NO_SLOT + 1; i < reading->count; i++) {
        const struct tp_census_sum *sum = &reading->sums[i];
        if ((sum->allocs == 0 && sum->frees == 0) || reading->slots[i].face == TAGPOOL_SEGMENT_LOOKASIDE)
            continue;
        accounts->pools = memory_grow(accounts->pools, accounts->pool_count, sizeof(*accounts->pools));
        struct pool *pool = &accounts->pools[accounts->pool_count++];
        const struct pool *old = accounts_pool_before(before, i, &at);
        memset(pool, 0, sizeof(*pool));
        pool_fill(pool, i, &reading->slots[i], sum);
        /* To name a site takes long, and a slot never changes its name. */
        pool->name = old != NULL ? memory_copy_text(old->name) : pool_read_name(&reading->slots[i], symbols);
        if (before != NULL)
            pool_compare(pool, old != NULL ? old : &nothing);
        accounts->tagged_bytes += pool->bytes;
        accounts->moved_count += pool->moved;
    }
    symbol_close(symbols);
}

static struct lookaside lookaside_of(const struct tagpool_segment_slot *slot, const struct tp_census_sum *sum)
{
    return (struct lookaside){
        .tag = slot->tag,
        .kind = slot->kind & 1 ? POOL_PAGED : POOL_NONPAGED,
        .size = slot->block_size,
        .depth = slot->depth,
        .maximum_depth = slot->maximum_depth,
        .total_allocates = sum->allocs,
        .allocate_misses = sum->alloc_bytes / slot->block_size,
        .total_frees = sum->frees,
        .free_misses = sum->free_bytes / slot->block_size,
    };
}

static void accounts_fill_lookaside(struct accounts *accounts, const struct segfile_reading *reading)
{
    for (uint32_t i = TAGPOOL_SEGMENT_NO_SLOT + 1; i < reading->count; i++) {
        const struct tagpool_segment_slot *slot = &reading->slots[i];
        if (!slot->used || slot->face != TAGPOOL_SEGMENT_LOOKASIDE || slot->block_size == 0)
            continue;
        accounts->lookaside =
            memory_grow(accounts->lookaside, accounts->lookaside_count, sizeof(*accounts->lookaside));
        accounts->lookaside[accounts->lookaside_count++] = lookaside_of(slot, &reading->sums[i]);
    }
}

static void quota_fill(struct quota *quota, const struct segfile_reading *reading,
                       const struct tagpool_segment_quota *row)
{
    memset(quota, 0, sizeof(*quota));
    label_clean(quota->name, sizeof(quota->name), row->name, sizeof(row->name));
    if (row->parent != 0 && row->parent < reading->quota_count)
        label_clean(quota->parent, sizeof(quota->parent), reading->quotas[row->parent].name, sizeof(row->name));
    memcpy(quota->held, row->held_bytes, sizeof(quota->held));
    memcpy(quota->peak, row->peak_bytes, sizeof(quota->peak));
    memcpy(quota->limit, row->limit_bytes, sizeof(quota->limit));
    quota->refused = row->refused_total;
}

static void accounts_fill_quotas(struct accounts *accounts, const struct segfile_reading *reading)
{
    for (uint32_t i = 1; i < reading->quota_count; i++) {
        if (!reading->quotas[i].used)
            continue;
        accounts->quotas = memory_grow(accounts->quotas, accounts->quota_count, sizeof(*accounts->quotas));
        quota_fill(&accounts->quotas[accounts->quota_count++], reading, &reading->quotas[i]);
    }
}

static void accounts_fill_totals(struct accounts *accounts, const struct segfile_reading *reading)
{
    uint64_t tagged = accounts->tagged_bytes;
    accounts->rss_bytes = procfs_rss_bytes(accounts->pid);
    accounts->touched_bytes = reading->touched_bytes;
    accounts->locked_bytes = reading->locked_bytes;
    accounts->allocator_bytes = reading->metadata_bytes;
    if (reading->touched_bytes > tagged)
        accounts->allocator_bytes += reading->touched_bytes - tagged;
    uint64_t ours = tagged + accounts->allocator_bytes;
    /* Blocks that the program never wrote to are tagged but not in RSS. */
    accounts->other_bytes = accounts->rss_bytes > ours ? accounts->rss_bytes - ours : 0;
    accounts->untouched_bytes = ours > accounts->rss_bytes ? ours - accounts->rss_bytes : 0;
    accounts->incomplete = reading->flags & TAGPOOL_SEGMENT_INCOMPLETE;
    accounts->slots_full = reading->flags & TAGPOOL_SEGMENT_SLOTS_FULL;
}

static int accounts_read(struct accounts *accounts, const struct process *process, const struct snapshot *before)
{
    struct segfile_reading reading;
    memset(accounts, 0, sizeof(*accounts));
    int error = segfile_read(&process->file, &reading);
    if (error == 0) {
        const struct tagpool_segment_header *header = &process->file.header;
        const struct accounts *old = accounts_before(before, process->pid, header->nonce);
        accounts->pid = process->pid;
        accounts->nonce = header->nonce;
        accounts->has_change = old != NULL;
        label_clean(accounts->program, sizeof(accounts->program), header->program, sizeof(header->program));
        accounts_fill_pools(accounts, &reading, old);
        accounts_fill_lookaside(accounts, &reading);
        accounts_fill_quotas(accounts, &reading);
        accounts_fill_totals(accounts, &reading);
    }
    segfile_reading_free(&reading);
    return error;
}

static int accounts_compare(const void *a, const void *b)
{
    const struct accounts *x = a, *y = b;
    if (x->tagged_bytes != y->tagged_bytes)
        return x->tagged_bytes < y->tagged_bytes ? 1 : -1;
    return (x->pid > y->pid) - (x->pid < y->pid);
}

static void accounts_free(struct accounts *accounts)
{
    for (size_t i = 0; i < accounts->pool_count; i++)
        free(accounts->pools[i].name);
    free(accounts->pools);
    free(accounts->lookaside);
    free(accounts->quotas);
}

/* ---- the snapshot ---- */

int snapshot_take(struct snapshot *snapshot, const struct snapshot *before, pid_t pid)
{
    struct process_list list;
    memset(snapshot, 0, sizeof(*snapshot));
    snapshot->time_ns = snapshot_now_ns();
    if (before != NULL)
        snapshot->seconds = (double)(snapshot->time_ns - before->time_ns) / 1e9;
    int error = process_find(&list, pid);
    if (error != 0)
        return error;

    snapshot->items = memory_alloc(list.count, sizeof(*snapshot->items));
    for (size_t i = 0; i < list.count; i++)
        if (accounts_read(&snapshot->items[snapshot->count], &list.items[i], before) == 0)
            snapshot->count++;
    process_list_free(&list);
    if (snapshot->count > 1)
        qsort(snapshot->items, snapshot->count, sizeof(*snapshot->items), accounts_compare);
    return 0;
}

void snapshot_free(struct snapshot *snapshot)
{
    for (size_t i = 0; i < snapshot->count; i++)
        accounts_free(&snapshot->items[i]);
    free(snapshot->items);
    memset(snapshot, 0, sizeof(*snapshot));
}

/* ---- what is to be said about it ---- */

void snapshot_explain_empty(pid_t pid)
{
    struct process_list list;
    int error = process_find(&list, pid);
    if (error != 0)
        report("cannot read the directory of segments %s: %s.", process_directory(), strerror(-error));
    else if (pid != 0)
        process_explain(&list, pid);
    else
        process_explain_none(&list);
    process_list_free(&list);
}

const char *snapshot_note(const struct accounts *accounts, size_t n, char *buffer, size_t size)
{
    if (accounts->incomplete && n-- == 0)
        return "incomplete, there was no room in /dev/shm: the sums are too small";
    if (accounts->slots_full && n-- == 0)
        return "more tags than slots: the rest is counted under ????";
    if (accounts->moved_count != 0 && n-- == 0) {
        snprintf(buffer, size, "%zu tags changed too fast: their numbers are near, not exact", accounts->moved_count);
        return buffer;
    }
    return NULL;
}
