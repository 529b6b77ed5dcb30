/*
 * No run of pages ever lay there.
 *
 * expect: CALLER_INVALID 0x0000(\w{12}), 0x0{16}, 0x0{16}\).*pointer 0x\1
 * verify: special=all guard=each
 */
#include <stdlib.h>

int main(void)
{
    char *block = malloc(96);
    free(block + (1 << 20));
    return 0;
}
