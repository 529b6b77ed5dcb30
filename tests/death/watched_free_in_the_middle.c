/*
 * expect: CALLER_MIDDLE 0x0000(\w{11}0), 0x0000\w{11}0, 0x0{14}10\).*pointer 0x\1
 * verify: watch
 */
#include <stdlib.h>

int main(void)
{
    char *block = malloc(100);
    free(block + 16);
    return 0;
}
