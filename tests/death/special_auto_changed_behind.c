/*
 * Later ones are seldom there, and watched.
 *
 * expect: SPECIAL_OVERRUN_FOUND 0x0000\w{11}0, 0x0000(\w{11}4), 0x0{16}, .*pointer 0x\1,
 * verify: special=auto
 */
#include <stdlib.h>

int main(void)
{
    char *block = NULL;
    for (int i = 0; i < 10000; i++) {
        free(block);
        block = malloc(100);
        block[100] = i == 9999 ? 'x' : block[100];
    }
    free(block);
    return 0;
}
