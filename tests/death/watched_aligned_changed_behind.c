/*
 * expect: SPECIAL_OVERRUN_FOUND 0x0000\w{10}[048C]0, 0x0000(\w{11}4), 0x0{16},
 * verify: watch
 */
#include <stdlib.h>

int main(void)
{
    void *block;
    posix_memalign(&block, 64, 100);
    ((char *)block)[100] = 'x';
    free(block);
    return 0;
}
