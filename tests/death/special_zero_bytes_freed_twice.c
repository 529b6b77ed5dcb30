/*
 * expect: CALLER_FREED_TWICE 0x0{16}, 0x\w{16}, 0x0000(\w{9}000)\).*pointer 0x\1
 * verify: special=all
 */
#include <stdlib.h>

int main(void)
{
    char *block = malloc(0);
    free(block);
    free(block);
    return 0;
}
