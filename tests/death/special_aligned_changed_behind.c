/*
 * expect: SPECIAL_OVERRUN_FOUND 0x0000\w{9}000, 0x0000(\w{9}064), 0x0{16}, .*pointer 0x\1,
 * verify: special=all
 */
#include <stdlib.h>

int main(void)
{
    void *block;
    posix_memalign(&block, 4096, 100);
    ((char *)block)[100] = 'x';
    free(block);
    return 0;
}
