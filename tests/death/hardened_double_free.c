/*
 * expect: CALLER_FREED_TWICE 0x0{16}, 0x\w{16}, 0x0000(\w{11}0)\).*pointer 0x\1, tag hard, page
 * verify: harden
 */
#include <stdlib.h>

int main(void)
{
    char *block = malloc(100);
    free(block);
    free(block);
    return 0;
}
