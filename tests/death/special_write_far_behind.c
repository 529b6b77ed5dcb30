/*
 * The last integer of the guard.
 *
 * expect: BEYOND_END_TOUCHED 0x0000(\w{9}FFC), 0x0{15}1, 0x0000\w{12}, 0x0{16}\).*pointer 0x\1, tag
 * verify: special=all guard=each
 */
#include <stdlib.h>

int main(void)
{
    int *block = malloc(96);
    block[24 + 1023] = 1;
    free(block);
    return 0;
}
