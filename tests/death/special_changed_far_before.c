/*
 * The first byte of the block's page.
 *
 * expect: SPECIAL_UNDERRUN_FOUND 0x0000\w{9}F90, 0x0000(\w{9}000), 0x0{16}, .*pointer 0x\1,
 * verify: special=all guard=each
 */
#include <stdlib.h>

int main(void)
{
    char *block = malloc(100);
    block[-0xf90] = 'x';
    free(block);
    return 0;
}
