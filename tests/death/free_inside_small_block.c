/* expect: 0x0{11}41286, 0x(\w{16}), 0x(\w{15})0, 0x0{14}10\).*middle of a block */
#include <stdlib.h>

int main(void)
{
    char *block = malloc(100);
    free(block + 16);
    return 0;
}
