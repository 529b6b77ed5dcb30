/*
 * expect: BEYOND_END_TOUCHED 0x0000(\w{9}000), 0x0{15}0, 0x0000\w{12}, 0x0{16}\).*pointer 0x\1, tag
 * verify: special=all guard=each
 */
#include <stdlib.h>

int main(void)
{
    char *block = malloc(96);
    return block[96];
    return 0;
}
