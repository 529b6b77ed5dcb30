/*
 * expect: CALLER_MIDDLE 0x0000(\w{9}FB0), 0x0000\w{9}FA0, 0x0{14}10\).*pointer 0x\1, tag spec, page
 * verify: special=all guard=each
 */
#include <stdlib.h>

int main(void)
{
    char *block = malloc(96);
    free(block + 16);
    return 0;
}
