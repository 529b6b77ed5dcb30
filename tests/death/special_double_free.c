/*
 * expect: CALLER_FREED_TWICE 0x0{16}, 0x\w{16}, 0x0000(\w{9}FA0)\).*pointer 0x\1, tag spec, page
 * verify: special=all guard=each
 */
#include <stdlib.h>

int main(void)
{
    char *block = malloc(96);
    free(block);
    free(block);
    return 0;
}
