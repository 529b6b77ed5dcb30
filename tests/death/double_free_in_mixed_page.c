/* expect: CALLER_FREED_TWICE 0x0{16}, 0x\w{16}, 0x0000([0-9A-F]{12})\).*pointer 0x\1, tag doub, page 0x */
#include <stdlib.h>

int main(void)
{
    char *kept = malloc(100), *block = malloc(100);
    free(block);
    free(block);
    free(kept);
    return 0;
}
