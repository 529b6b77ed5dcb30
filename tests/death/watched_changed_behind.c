/*
 * expect: SPECIAL_OVERRUN_FOUND 0x0000\w{11}0, 0x0000(\w{11}4), 0x0{16}, .*pointer 0x\1, tag watc, page
 * verify: watch
 */
#include <stdlib.h>

int main(void)
{
    char *block = malloc(100);
    block[100] = 'x';
    free(block);
    return 0;
}
