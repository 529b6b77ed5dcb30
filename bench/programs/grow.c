/*
 * Growth by realloc: strings that get a few bytes at a time, vectors that double, tables that grow far into what a
 * system call serves.
 *
 * What is seen is when a block grows in place, and what a move costs.
 */
#include "bench.h"

#include <string.h>

#define GROW_ROUNDS UINT64_C(13)
#define STRINGS 512
#define STRING_MAX 2048
#define VECTORS 64
#define VECTOR_MAX ((size_t)256 << 10)
#define TABLE_MAX ((size_t)32 << 20)
#define TABLE_STEP ((size_t)192 << 10)

struct buffer {
    char *bytes;
    size_t size;
};

static void buffer_grow(struct buffer *buffer, size_t size)
{
    buffer->bytes = bench_got(realloc(buffer->bytes, size));
    bench_touch(buffer->bytes + buffer->size, size - buffer->size, 64);
    buffer->size = size;
}

static void buffers_free(struct buffer *buffers, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(buffers[i].bytes);
    memset(buffers, 0, count * sizeof(*buffers));
}

/* Appended to in turn, to the exact length, as getline and printf into strings do. */
static void grow_strings(uint64_t *dice)
{
    static struct buffer strings[STRINGS];
    for (size_t step = 0; step < STRING_MAX / 16; step++)
        for (size_t i = 0; i < STRINGS; i++)
            buffer_grow(&strings[i], strings[i].size + 1 + bench_roll(dice) % 31);
    buffers_free(strings, STRINGS);
}

static void grow_vectors(void)
{
    static struct buffer vectors[VECTORS];
    for (size_t size = 16; size <= VECTOR_MAX; size *= 2)
        for (size_t i = 0; i < VECTORS; i++)
            buffer_grow(&vectors[i], size);
    buffers_free(vectors, VECTORS);
}

/* One that doubles beside one that creeps: each is in the other's way. */
static void grow_tables(void)
{
    struct buffer tables[2] = {{NULL, 0}, {NULL, 0}};
    for (size_t size = TABLE_STEP; size <= TABLE_MAX; size += TABLE_STEP) {
        buffer_grow(&tables[0], size);
        if (size > tables[1].size)
            buffer_grow(&tables[1], size * 2);
    }
    buffers_free(tables, 2);
}

int main(int argc, char **argv)
{
    uint64_t rounds = bench_scaled(argc, argv, 1, GROW_ROUNDS);
    uint64_t dice = 5;
    double started = bench_now();
    for (uint64_t i = 0; i < rounds; i++) {
        grow_strings(&dice);
        grow_vectors();
        grow_tables();
    }
    bench_report(started);
    return 0;
}
