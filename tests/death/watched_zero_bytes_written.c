/*
 * expect: SPECIAL_OVERRUN_FOUND 0x0000(\w{11}0), 0x0000\1, 0x0{16}, .*pointer 0x\1, tag watc
 * verify: watch
 */
#include <stdlib.h>

int main(void)
{
    char *block = malloc(0);
    block[0] = 'x';
    free(block);
    return 0;
}
