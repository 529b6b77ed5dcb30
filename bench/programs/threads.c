/*
 * Thread churn: two lanes of many short threads.  Each allocates a batch, hands it over and frees one that another
 * thread left, of its own lane or the other.
 *
 * What is seen is the price of a thread's first and last allocation, and what becomes of the blocks of dead threads.
 */
#include "bench.h"

#include <pthread.h>
#include <stdatomic.h>

#define LANES 2
#define BATCH_BLOCKS 200
#define LOCAL_STEPS 400
#define LANE_THREADS UINT64_C(11000)

struct batch {
    char *blocks[BATCH_BLOCKS];
};

struct lane {
    pthread_t thread;
    uint64_t dice;
};

/* Where batches wait for whoever comes next. */
static struct batch *_Atomic handed_over;
static uint64_t lane_threads;

static size_t lane_size(struct lane *lane)
{
    return 16 + bench_roll(&lane->dice) % 1000;
}

static char *lane_alloc(struct lane *lane)
{
    char *block = bench_got(malloc(lane_size(lane)));
    block[0] = 1;
    return block;
}

static void batch_free(struct batch *batch)
{
    if (batch == NULL)
        return;
    for (size_t i = 0; i < BATCH_BLOCKS; i++)
        free(batch->blocks[i]);
    free(batch);
}

static void *short_life(void *argument)
{
    struct lane *lane = argument;
    struct batch *batch = bench_got(malloc(sizeof(*batch)));
    for (size_t i = 0; i < BATCH_BLOCKS; i++)
        batch->blocks[i] = lane_alloc(lane);
    for (size_t i = 0; i < LOCAL_STEPS; i++) {
        char **block = &batch->blocks[i % BATCH_BLOCKS];
        free(*block);
        *block = lane_alloc(lane);
    }
    batch_free(atomic_exchange(&handed_over, batch));
    return NULL;
}

static void *lane_run(void *argument)
{
    struct lane *lane = argument;
    for (uint64_t i = 0; i < lane_threads; i++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, short_life, lane) != 0)
            abort();
        pthread_join(thread, NULL);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    struct lane lanes[LANES];
    lane_threads = bench_scaled(argc, argv, 1, LANE_THREADS);
    double started = bench_now();
    for (size_t i = 0; i < LANES; i++) {
        lanes[i].dice = 4 + i;
        if (pthread_create(&lanes[i].thread, NULL, lane_run, &lanes[i]) != 0)
            abort();
    }
    for (size_t i = 0; i < LANES; i++)
        pthread_join(lanes[i].thread, NULL);
    batch_free(atomic_exchange(&handed_over, NULL));
    bench_report(started);
    return 0;
}
