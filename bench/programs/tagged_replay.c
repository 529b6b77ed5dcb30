/*
 * Replay a trace on tagged pools, each allocation under the next of so many tags: tagged_replay TRACE TAGS MEGABYTES.
 *
 * As many copies of the trace run side by side, step by step, as it takes to have that many megabytes live at the
 * peak.  With one tag against with many, peak RSS shows what it costs to keep tags apart; the program's own tables,
 * which it says the size of, are no part of that.
 */
#include "bench.h"
#include "trace.h"

#include <tagpool.h>

#define MIB ((uint64_t)1 << 20)

struct tagged_replay {
    uint64_t copies;
    tagpool_handle_t *handles;
    uint64_t tags;
    uint64_t next_tag;
    char **blocks; /* copy by copy for each id */
};

static tagpool_handle_t tag_of(uint64_t i)
{
    const char a = (char)('a' + i % 26);
    const char b = (char)('a' + i / 26 % 26);
    const char c = (char)('a' + i / 26 / 26 % 26);
    return bench_got(tagpool_open(TAGPOOL_PAGED, TAGPOOL_TAG(c, b, a, 'T')));
}

static char *tagged_alloc(struct tagged_replay *replay, const struct trace_step *step)
{
    tagpool_handle_t handle = replay->handles[replay->next_tag++ % replay->tags];
    if (step->kind == TRACE_CALLOC)
        return bench_got(tagpool_handle_zalloc(handle, step->size));
    return bench_got(tagpool_handle_alloc(handle, step->size));
}

static void tagged_step(struct tagged_replay *replay, const struct trace_step *step, uint64_t copy)
{
    char **block = &replay->blocks[step->id * replay->copies + copy];
    if (step->kind == TRACE_FREE) {
        tagpool_free(*block);
        *block = NULL;
        return;
    }
    *block = step->kind == TRACE_REALLOC ? bench_got(tagpool_realloc(*block, step->size)) : tagged_alloc(replay, step);
    bench_touch(*block, step->size, 64);
}

int main(int argc, char **argv)
{
    static struct trace trace;
    struct tagged_replay replay = {0};
    if (argc != 4 || (replay.tags = strtoull(argv[2], NULL, 10)) == 0) {
        fprintf(stderr, "usage: tagged_replay TRACE TAGS MEGABYTES\n");
        return 2;
    }
    trace_open(&trace, argv[1]);
    replay.copies = strtoull(argv[3], NULL, 10) * MIB / trace.header.peak_bytes + 1;
    uint64_t table_size = trace.header.ids * (replay.copies * sizeof(*replay.blocks) + sizeof(*trace.ids.free));
    replay.blocks = trace_table(trace.header.ids * replay.copies * sizeof(*replay.blocks));
    replay.handles = trace_table(replay.tags * sizeof(*replay.handles));
    for (uint64_t i = 0; i < replay.tags; i++)
        replay.handles[i] = tag_of(i);
    double started = bench_now();
    for (struct trace_step step; trace_next(&trace, &step);)
        for (uint64_t copy = 0; copy < replay.copies; copy++)
            tagged_step(&replay, &step, copy);
    bench_report(started);
    printf("table_kib %llu\n", (unsigned long long)table_size / 1024);
    printf("live_mib %.1f\n", (double)(trace.header.peak_bytes * replay.copies) / (double)MIB);
    return 0;
}
