/*
 * expect: BEYOND_END_TOUCHED 0x0000(\w{8}0000), 0x0{15}1, 0x0000\w{12}, 0x0{16}\).*pointer 0x\1, tag
 * verify: special=all guard=each
 */
#include <stdlib.h>

int main(void)
{
    void *block;
    posix_memalign(&block, 65536, 65536);
    ((char *)block)[65536] = 'x';
    free(block);
    return 0;
}
