/*
 * expect: BEYOND_END_TOUCHED 0x0000(\w{9}FF0), 0x0{15}1, 0x0000\w{12}, 0x0{16}\).*pointer 0x\1, tag
 * verify: special=all ends=under guard=each
 */
#include <stdlib.h>

int main(void)
{
    char *block = malloc(100);
    block[-16] = 'x';
    free(block);
    return 0;
}
