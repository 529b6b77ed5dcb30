/*
 * Replay a recorded trace of a real program's malloc, calloc, realloc and free: replay TRACE [SCALE].
 *
 * The scale is how often.  What is left at the end of a pass is freed.  Every cache line of a block is written once,
 * as the program did at the least, so that an allocator cannot win by handing out memory that nobody uses.
 */
#include "bench.h"
#include "trace.h"

static char **replay_blocks;

static char *replay_resize(char *old, size_t size)
{
    char *block = realloc(old, size);
    return size == 0 ? block : bench_got(block);
}

static char *replay_alloc(const struct trace_step *step)
{
    if (step->kind == TRACE_CALLOC)
        return bench_got(calloc(1, step->size));
    if (step->kind == TRACE_ALIGNED)
        return bench_got(aligned_alloc(step->alignment, step->size));
    return bench_got(malloc(step->size));
}

static void replay_step(const struct trace_step *step)
{
    char **block = &replay_blocks[step->id];
    if (step->kind == TRACE_FREE) {
        free(*block);
        *block = NULL;
        return;
    }
    *block = step->kind == TRACE_REALLOC ? replay_resize(*block, step->size) : replay_alloc(step);
    bench_touch(*block, step->size, 64);
}

static void replay_pass(struct trace *trace)
{
    struct trace_step step;
    trace_rewind(trace);
    while (trace_next(trace, &step))
        replay_step(&step);
    for (uint64_t id = 0; id < trace->header.ids; id++) {
        free(replay_blocks[id]);
        replay_blocks[id] = NULL;
    }
}

int main(int argc, char **argv)
{
    static struct trace trace;
    if (argc < 2) {
        fprintf(stderr, "usage: replay TRACE [SCALE]\n");
        return 2;
    }
    trace_open(&trace, argv[1]);
    replay_blocks = trace_table(trace.header.ids * sizeof(*replay_blocks));
    uint64_t passes = bench_scaled(argc, argv, 2, 1);
    double started = bench_now();
    for (uint64_t i = 0; i < passes; i++)
        replay_pass(&trace);
    bench_report(started);
    return 0;
}
