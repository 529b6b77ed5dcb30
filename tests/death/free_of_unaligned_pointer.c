/* expect: 0x0{11}41286, 0x(\w{16}), 0x(\w{16}), 0x0{15}1\).*middle of a block */
#include <stdlib.h>

int main(void)
{
    char *block = malloc(100);
    free(block + 1);
    return 0;
}
