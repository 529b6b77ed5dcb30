/*
 * Places of a page that are not used yet.
 *
 * expect: CALLER_INVALID 0x0000(\w{11}0), 0x0{16}, 0x0{16}\).*pointer 0x\1
 * verify: watch
 */
#include <stdlib.h>

int main(void)
{
    char *blocks[2] = {malloc(500), malloc(500)};
    free(blocks[1] + 16 * (blocks[1] - blocks[0]));
    return 0;
}
