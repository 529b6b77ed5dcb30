/*
 * expect: FREED_POOL_TOUCHED 0x0000(\w{9}FFF), 0x0{15}1, 0x0000\w{12}, 0x0{16}\).*pointer 0x\1, tag
 * verify: special=all guard=each
 * verify: special=all quarantine=1
 */
#include <stdlib.h>

int main(void)
{
    char *block = malloc(96);
    free(block);
    block[95] = 'x';
    return 0;
}
