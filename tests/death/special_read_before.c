/*
 * expect: BEYOND_END_TOUCHED 0x0000(\w{9}FFF), 0x0{15}0, 0x0000\w{12}, 0x0{16}\).*pointer 0x\1, tag
 * verify: special=all ends=under guard=each
 */
#include <stdlib.h>

int main(void)
{
    char *block = malloc(100);
    return block[-1];
    return 0;
}
