/*
 * There are sixteen bytes at least.
 *
 * expect: SPECIAL_OVERRUN_FOUND 0x0000\w{11}0, 0x0000(\w{11}F), 0x0{16},
 * verify: watch
 */
#include <stdlib.h>

int main(void)
{
    char *block = malloc(96);
    block[96 + 15] = 'x';
    free(block);
    return 0;
}
