/*
 * expect: CALLER_MIDDLE 0x0000(\w{11}0), 0x0000\w{12}, 0x0{14}40\).*pointer 0x\1, page
 * verify: harden
 */
#include <stdlib.h>

int main(void)
{
    char *block = malloc(100);
    free(block + 64);
    return 0;
}
