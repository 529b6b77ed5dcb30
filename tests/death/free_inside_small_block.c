/* expect: CALLER_MIDDLE 0x(\w{16}), 0x(\w{15})0, 0x0{14}10\) */
#include <stdlib.h>

int main(void)
{
    char *block = malloc(100);
    free(block + 16);
    return 0;
}
