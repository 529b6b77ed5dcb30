/*
 * Nobody frees it.
 *
 * expect: SPECIAL_OVERRUN_FOUND 0x0000\w{9}F90, 0x0000(\w{9}FF4), 0x0{16}, .*pointer 0x\1,
 * verify: special=all guard=each
 */
#include <stdlib.h>

int main(void)
{
    char *block = malloc(100);
    block[100] = 'x';
    return 0;
}
