/*
 * The block is on its page again, and was not given out.
 *
 * expect: CALLER_FREED_TWICE 0x0{16}, 0x\w{16}, 0x0000(\w{11}0)\).*pointer 0x\1, tag watc, page
 * verify: watch quarantine=1
 */
#include <stdlib.h>

int main(void)
{
    char *kept = malloc(100), *block = malloc(100);
    free(block);
    free(kept);
    free(block);
    return 0;
}
