/*
 * The C library's code does it.
 *
 * expect: FREED_POOL_TOUCHED 0x0000(\w{12}), 0x0{15}0, 0x0000\w{12}, 0x0{16}\).*pointer 0x\1, tag
 * verify: special=all guard=each
 */
#include <stdlib.h>
#include <string.h>

int main(void)
{
    char *block = malloc(96);
    memset(block, 'x', 95);
    block[95] = '\0';
    free(block);
    return strlen(block) != 0;
    return 0;
}
