/*
 * The block is in the thread's ring.
 *
 * expect: CALLER_FREED_TWICE 0x0{16}, 0x\w{16}, 0x0000(\w{11}0)\).*pointer 0x\1, tag hard, page
 * verify: harden
 */
#include <stdlib.h>

/* So many that the caller has pages of its own. */
enum { MANY = 3000 };

static void *blocks[MANY];

static void fill(size_t size)
{
    for (int i = 0; i < MANY; i++)
        blocks[i] = malloc(size);
}

int main(void)
{
    fill(100);
    free(blocks[MANY - 1]);
    free(blocks[MANY - 1]);
    return 0;
}
