/* expect: CALLER_NO_POOL 0x0000(7[0-9A-F]{11}), 0x0{16}, 0x0{16}\).*pointer 0x\1 */
#include <stdlib.h>

int main(void)
{
    char local[32];
    free(malloc(1));
    free(local);
    return 0;
}
