/* expect: CALLER_MIDDLE 0x(\w{16}), 0x(\w{16}), 0x0{12}1000\) */
#include <stdlib.h>

int main(void)
{
    char *block = malloc(1000000);
    free(block + 4096);
    return 0;
}
