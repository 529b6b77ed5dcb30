/* expect: 0x0{14}42, 0x0000(7[0-9A-F]{11}), 0x0{16}, 0x0{16}\).*no pool ever gave out.*pointer 0x\1 */
#include <stdlib.h>

int main(void)
{
    char local[32];
    free(malloc(1));
    free(local);
    return 0;
}
