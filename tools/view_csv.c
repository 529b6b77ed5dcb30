/*
 * One line of names, then one line a process and pool; fields are quoted where RFC 4180 asks for it.
 */
#include "label.h"
#include "view.h"

#include <stdlib.h>
#include <string.h>

static void csv_put_text(FILE *out, const char *text)
{
    if (strpbrk(text, ",\"\r\n") == NULL) {
        fputs(text, out);
        return;
    }
    fputc('"', out);
    for (; *text != '\0'; text++) {
        if (*text == '"')
            fputc('"', out);
        fputc(*text, out);
    }
    fputc('"', out);
}

static void csv_put_pool(FILE *out, const struct accounts *accounts, const struct pool *pool)
{
    char tag[LABEL_TAG];
    const uint64_t numbers[] = {pool->allocs, pool->frees,      pool->diff,
                                pool->bytes,  pool->peak_bytes, pool->per_alloc};
    fprintf(out, "%d,", (int)accounts->pid);
    csv_put_text(out, accounts->program);
    fprintf(out, ",%llu,", (unsigned long long)accounts->rss_bytes);
    csv_put_text(out, label_tag(tag, pool->tag));
    fputs(pool->kind == POOL_PAGED ? ",Paged," : ",Nonp,", out);
    csv_put_text(out, pool->name);
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        fprintf(out, ",%llu", (unsigned long long)numbers[i]);
    fputc('\n', out);
}

void view_csv(FILE *out, const struct snapshot *snapshot, const struct view_options *options)
{
    fputs("pid,program,rss,tag,type,name,allocs,frees,diff,bytes,peak_bytes,per_alloc\n", out);
    for (size_t i = 0; i < snapshot->count; i++) {
        const struct accounts *accounts = &snapshot->items[i];
        size_t count;
        const struct pool **pools = selection_make(&options->selection, accounts, SORT_BYTES, &count);
        for (size_t n = 0; n < count; n++)
            csv_put_pool(out, accounts, pools[n]);
        free(pools);
    }
}
