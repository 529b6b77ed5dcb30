/*
 * expect: FREED_POOL_TOUCHED 0x0000(\w{9}000), 0x0{15}1, 0x0000\w{12}, 0x0{16}\).*pointer 0x\1, tag
 * verify: special=all guard=each
 */
#include <stdlib.h>

int main(void)
{
    char *block = malloc(100 * 1024);
    free(block);
    block[50 * 1024 - 50 * 1024 % 4096] = 'x';
    return 0;
}
