/*
 * Found before anybody follows the link.
 *
 * expect: FREED_POOL_MODIFIED 0x0000(\w{11}0), 0x0{15}1, 0x0{16}, 0x0{16}\).*pointer 0x\1, tag hard, page
 * verify: harden
 */
#include <stdlib.h>
#include <unistd.h>

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
    for (int i = 0; i < MANY; i += 2)
        free(blocks[i]);
    ((void **)blocks[MANY / 2])[0] = &blocks[0];
    fill(100);
    pause();
    return 0;
}
