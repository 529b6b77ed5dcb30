/*
 * On the block's page, and so of the block.
 *
 * expect: CALLER_MIDDLE 0x0000(\w{9}F90), 0x0000\w{9}FA0, 0xF{15}0\).*pointer 0x\1
 * verify: special=all
 */
#include <stdlib.h>

int main(void)
{
    char *block = malloc(96);
    free(block - 16);
    return 0;
}
