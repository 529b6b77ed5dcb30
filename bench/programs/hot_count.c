/*
 * A hot malloc and free, and a bare free list's pop and push, so many times each: for counting instructions.
 *
 * Run for two counts: what differs is what the hot calls took, whatever came before.
 */
#include "bench.h"

#define HOT_SIZE 64
#define HOT_BLOCKS 1024

struct bare_block {
    struct bare_block *next;
};

/* The least that an allocator of one size and one thread can do. */
struct bare_list {
    struct bare_block *free;
};

/* As if in another library: a list that the compiler knows would spare instructions. */
void *bare_pop(struct bare_list *list) __attribute__((noipa));
void bare_push(struct bare_list *list, void *p) __attribute__((noipa));

void *bare_pop(struct bare_list *list)
{
    struct bare_block *block = list->free;
    if (__builtin_expect(block != NULL, 1))
        list->free = block->next;
    return block;
}

void bare_push(struct bare_list *list, void *p)
{
    struct bare_block *block = p;
    block->next = list->free;
    list->free = block;
}

/* Leaves half of the blocks live: no page is full or empty afterwards, and the tag has pages of its own. */
static void warm_up(struct bare_list *list)
{
    void *blocks[HOT_BLOCKS];
    for (size_t i = 0; i < HOT_BLOCKS; i++)
        blocks[i] = bench_got(malloc(HOT_SIZE));
    for (size_t i = 0; i < HOT_BLOCKS; i += 2)
        free(blocks[i]);
    for (size_t i = 1; i < HOT_BLOCKS; i += 2)
        bare_push(list, blocks[i]);
}

int main(int argc, char **argv)
{
    static struct bare_list list;
    uint64_t count = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000;
    warm_up(&list);
    for (uint64_t i = 0; i < count; i++)
        free(malloc(HOT_SIZE));
    for (uint64_t i = 0; i < count; i++)
        bare_push(&list, bare_pop(&list));
    return 0;
}
