/*
 * expect: SPECIAL_OVERRUN_FOUND 0x0000\w{9}FF0, 0x0000(\w{9}FFF), 0x0{16}, .*pointer 0x\1,
 * verify: special=all
 */
#include <stdlib.h>

int main(void)
{
    char *block = malloc(1024 * 1024 + 15);
    block[1024 * 1024 + 15] = 'x';
    free(block);
    return 0;
}
