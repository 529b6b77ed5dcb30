/*
 * The C library's code does it.
 *
 * expect: BEYOND_END_TOUCHED 0x0000(\w{9}0\w\w), 0x0{15}1, 0x0000\w{12}, 0x0{16}\).*pointer 0x\1, tag
 * verify: special=all guard=each
 */
#include <stdlib.h>
#include <string.h>

static char text[128];

int main(void)
{
    char *block = malloc(64);
    memcpy(block, text, sizeof(text));
    free(block);
    return 0;
}
