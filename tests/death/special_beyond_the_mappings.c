/*
 * Where special pool refuses, blocks are watched.
 *
 * expect: SPECIAL_OVERRUN_FOUND 0x0000\w{11}0, 0x0000(\w{11}4), 0x0{16}, .*pointer 0x\1,
 * verify: special=all guard=protect
 */
#include <stdlib.h>

static char *blocks[20000];

int main(void)
{
    for (int i = 0; i < 20000; i++)
        blocks[i] = malloc(100);
    char *block = blocks[19999];
    block[100] = 'x';
    free(block);
    return 0;
}
