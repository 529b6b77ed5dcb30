/*
 * expect: CALLER_INVALID 0x0000(\w{11}0), 0x0{16}, 0x0{16}\).*pointer 0x\1, page
 * verify: harden
 */
#include <stdlib.h>

int main(void)
{
    char *block = malloc(1000000);
    free(block);
    free(block);
    return 0;
}
