/*
 * Producer and consumer: one thread allocates messages, another reads and frees them; a ring lies between.
 *
 * Every free is remote.  What is seen is how blocks travel home.
 */
#include "bench.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#define RING_SIZE 1024
#define PRODCONS_MESSAGES UINT64_C(22000000)

struct ring {
    _Alignas(64) _Atomic uint64_t written;
    _Alignas(64) _Atomic uint64_t read;
    _Alignas(64) char *messages[RING_SIZE];
};

static struct ring ring;
static uint64_t message_count;

/* Wait until *counter has reached `least`; give the processor away, for the other side may need this one. */
static void ring_wait(_Atomic uint64_t *counter, uint64_t least)
{
    while (atomic_load_explicit(counter, memory_order_acquire) < least)
        sched_yield();
}

static void *produce(void *unused)
{
    (void)unused;
    uint64_t dice = 3;
    for (uint64_t i = 0; i < message_count; i++) {
        char *message = bench_got(malloc(32 + bench_roll(&dice) % 480));
        message[0] = (char)i;
        if (i >= RING_SIZE)
            ring_wait(&ring.read, i - RING_SIZE + 1);
        ring.messages[i % RING_SIZE] = message;
        atomic_store_explicit(&ring.written, i + 1, memory_order_release);
    }
    return NULL;
}

static void consume(void)
{
    for (uint64_t i = 0; i < message_count; i++) {
        ring_wait(&ring.written, i + 1);
        char *message = ring.messages[i % RING_SIZE];
        if (message[0] != (char)i)
            abort();
        free(message);
        atomic_store_explicit(&ring.read, i + 1, memory_order_release);
    }
}

int main(int argc, char **argv)
{
    message_count = bench_scaled(argc, argv, 1, PRODCONS_MESSAGES);
    double started = bench_now();
    pthread_t producer;
    if (pthread_create(&producer, NULL, produce, NULL) != 0)
        abort();
    consume();
    pthread_join(producer, NULL);
    bench_report(started);
    return 0;
}
