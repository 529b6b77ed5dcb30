/*
 * [{"pid":N,"program":S,"rss":N,"pools":[{"tag":S,"type":"Paged"|"Nonp","name":S,"allocs":N,"frees":N,"diff":N,
 *   "bytes":N,"peak_bytes":N,"per_alloc":N,"soft_limit":N,"hard_limit":N,"refused":N}],
 *   "lookaside":[{"tag":S,"type":S,"size":N,"depth":N,"maximum_depth":N,"total_allocates":N,"allocate_misses":N,
 *   "total_frees":N,"free_misses":N,"allocate_hit_rate":N,"free_hit_rate":N}],
 *   "quotas":[{"name":S,"parent":S|null,"paged_bytes":N,"paged_peak":N,"paged_limit":N,"nonpaged_bytes":N,
 *   "nonpaged_peak":N,"nonpaged_limit":N,"refused":N}]}]
 *
 * A limit of 0 is none.  Hit rates are whole percents, as Windows' tools print them, and 0 before the first call.
 */
#include "json.h"
#include "view.h"

#include <stdlib.h>

static void json_put_tag_and_type(FILE *out, uint32_t tag, enum pool_kind kind)
{
    fputs("{\"tag\":", out);
    json_put_tag(out, tag);
    fprintf(out, ",\"type\":\"%s\"", kind == POOL_PAGED ? "Paged" : "Nonp");
}

static void json_put_pool(FILE *out, const struct pool *pool)
{
    json_put_tag_and_type(out, pool->tag, pool->kind);
    fputs(",\"name\":", out);
    json_put_text(out, pool->name);
    json_put_number(out, "allocs", pool->allocs);
    json_put_number(out, "frees", pool->frees);
    json_put_number(out, "diff", pool->diff);
    json_put_number(out, "bytes", pool->bytes);
    json_put_number(out, "peak_bytes", pool->peak_bytes);
    json_put_number(out, "per_alloc", pool->per_alloc);
    json_put_number(out, "soft_limit", pool->soft_bytes);
    json_put_number(out, "hard_limit", pool->hard_bytes);
    json_put_number(out, "refused", pool->refused);
    fputc('}', out);
}

/* Misses may be ahead of calls: they are counted apart, and a flush is one. */
static uint64_t json_hit_rate(uint64_t total, uint64_t misses)
{
    return total > misses ? (uint64_t)(100.0 * (double)(total - misses) / (double)total) : 0;
}

static void json_put_lookaside(FILE *out, const struct lookaside *list)
{
    json_put_tag_and_type(out, list->tag, list->kind);
    json_put_number(out, "size", list->size);
    json_put_number(out, "depth", list->depth);
    json_put_number(out, "maximum_depth", list->maximum_depth);
    json_put_number(out, "total_allocates", list->total_allocates);
    json_put_number(out, "allocate_misses", list->allocate_misses);
    json_put_number(out, "total_frees", list->total_frees);
    json_put_number(out, "free_misses", list->free_misses);
    json_put_number(out, "allocate_hit_rate", json_hit_rate(list->total_allocates, list->allocate_misses));
    json_put_number(out, "free_hit_rate", json_hit_rate(list->total_frees, list->free_misses));
    fputc('}', out);
}

static void json_put_quota(FILE *out, const struct quota *quota)
{
    fputs("{\"name\":", out);
    json_put_text(out, quota->name);
    fputs(",\"parent\":", out);
    if (quota->parent[0] != '\0')
        json_put_text(out, quota->parent);
    else
        fputs("null", out);
    json_put_number(out, "paged_bytes", quota->held[1]);
    json_put_number(out, "paged_peak", quota->peak[1]);
    json_put_number(out, "paged_limit", quota->limit[1]);
    json_put_number(out, "nonpaged_bytes", quota->held[0]);
    json_put_number(out, "nonpaged_peak", quota->peak[0]);
    json_put_number(out, "nonpaged_limit", quota->limit[0]);
    json_put_number(out, "refused", quota->refused);
    fputc('}', out);
}

static void json_put_process(FILE *out, const struct accounts *accounts, const struct view_options *options)
{
    size_t count;
    const struct pool **pools = selection_make(&options->selection, accounts, SORT_BYTES, &count);
    fprintf(out, "{\"pid\":%d,\"program\":", (int)accounts->pid);
    json_put_text(out, accounts->program);
    json_put_number(out, "rss", accounts->rss_bytes);
    fputs(",\"pools\":[", out);
    for (size_t i = 0; i < count; i++) {
        fputs(i > 0 ? ",\n  " : "\n  ", out);
        json_put_pool(out, pools[i]);
    }
    fputs("],\"lookaside\":[", out);
    for (size_t i = 0; i < accounts->lookaside_count; i++) {
        fputs(i > 0 ? ",\n  " : "\n  ", out);
        json_put_lookaside(out, &accounts->lookaside[i]);
    }
    fputs("],\"quotas\":[", out);
    for (size_t i = 0; i < accounts->quota_count; i++) {
        fputs(i > 0 ? ",\n  " : "\n  ", out);
        json_put_quota(out, &accounts->quotas[i]);
    }
    fputs("]}", out);
    free(pools);
}

void view_json(FILE *out, const struct snapshot *snapshot, const struct view_options *options)
{
    fputc('[', out);
    for (size_t i = 0; i < snapshot->count; i++) {
        if (i > 0)
            fputs(",\n ", out);
        json_put_process(out, &snapshot->items[i], options);
    }
    fputs("]\n", out);
}
