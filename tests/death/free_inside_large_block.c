/* expect: 0x0{11}41286, 0x(\w{16}), 0x(\w{16}), 0x0{12}1000\).*middle of a block */
#include <stdlib.h>

int main(void)
{
    char *block = malloc(1000000);
    free(block + 4096);
    return 0;
}
