/*
 * Found at the end of the program.
 *
 * expect: FREED_POOL_MODIFIED 0x0000(\w{11}5), 0x0{15}1, 0x0{16}, 0x0{16}\).*pointer 0x\1, tag hard, page
 * verify: harden
 */
#include <stdlib.h>

int main(void)
{
    char *block = malloc(100);
    free(block);
    block[5] = 'x';
    return 0;
}
