/*
 * No byte lies between the contents and the seal, and the byte written is a text's last one.
 *
 * expect: SPECIAL_OVERRUN_FOUND 0x0000(\w{11}0), 0x0000(\w{11}8), 0x0{16}, 0x0{14}24\).*pointer 0x\2, tag hard, page
 * verify: harden
 */
#include <stdlib.h>

int main(void)
{
    char *block = malloc(104);
    block[104] = '\0';
    free(block);
    return 0;
}
