/*
 * Sixteen bytes further than a block's end, where classes are far apart.
 *
 * expect: SPECIAL_OVERRUN_FOUND 0x0000(\w{11}0), 0x0000(\w{11}0), 0x0{16}, 0x0{14}24\).*pointer 0x\2, tag hard, page
 * verify: harden
 */
#include <stdlib.h>

int main(void)
{
    char *block = malloc(1985);
    block[2000] = 'x';
    free(block);
    return 0;
}
