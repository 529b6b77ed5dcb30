/*
 * The block's pages wait for another one, and none has come; others went by meanwhile.
 *
 * expect: CALLER_FREED_TWICE 0x0{16}, 0x\w{16}, 0x0000(\w{9}FA0)\).*pointer 0x\1
 * verify: special=all quarantine=1
 */
#include <stdlib.h>

int main(void)
{
    char *block = malloc(96);
    free(block);
    free(malloc(96));
    free(malloc(96));
    free(block);
    return 0;
}
