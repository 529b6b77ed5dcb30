/*
 * expect: BUFFER_TOO_LONG 0x0000(\w{12}), 0x0{15}2, 0x0{12}1000, 0x0{16}\).*pointer 0x\1, tag
 * verify: special=all
 * verify: special=auto
 */
#include <stdio.h>
#include <stdlib.h>

int main(void)
{
    char *block = malloc(1000);
    fread(block, 16, 256, fopen("/dev/zero", "r"));
    return 0;
}
