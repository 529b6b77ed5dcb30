/*
 * expect: SPECIAL_OVERRUN_FOUND 0x0000\w{9}F90, 0x0000(\w{9}FF4), 0x0{16}, .*pointer 0x\1, tag spec, page
 * verify: special=all guard=each
 */
#include <stdlib.h>

int main(void)
{
    char *block = malloc(100);
    block[100] = 'x';
    free(block);
    return 0;
}
