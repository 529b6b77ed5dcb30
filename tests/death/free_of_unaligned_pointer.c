/* expect: CALLER_MIDDLE 0x(\w{16}), 0x(\w{16}), 0x0{15}1\) */
#include <stdlib.h>

int main(void)
{
    char *block = malloc(100);
    free(block + 1);
    return 0;
}
