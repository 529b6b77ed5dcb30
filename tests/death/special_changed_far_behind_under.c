/*
 * The last byte that lies on the block's page.
 *
 * expect: SPECIAL_OVERRUN_FOUND 0x0000\w{9}000, 0x0000(\w{9}FFF), 0x0{16}, .*pointer 0x\1,
 * verify: special=all ends=under guard=each
 */
#include <stdlib.h>

int main(void)
{
    char *block = malloc(100);
    block[4095] = 'x';
    free(block);
    return 0;
}
