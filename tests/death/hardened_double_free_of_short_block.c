/*
 * A block that has no byte besides its link and what the link is proved by.
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
    fill(1);
    for (int i = 0; i < MANY; i += 2)
        free(blocks[i]);
    free(blocks[MANY / 2]);
    return 0;
}
