/*
 * Found when the block leaves quarantine.  With as many in it as there may be, the next one is too many.
 *
 * expect: FREED_POOL_MODIFIED 0x0000(\w{11}5), 0x0{15}1, 0x0{16}, 0x0{16}\).*pointer 0x\1, tag watc, page
 * verify: watch quarantine=16
 */
#include <signal.h>
#include <stdlib.h>

int main(void)
{
    char *block = malloc(100);
    free(block);
    block[5] = 'x';
    for (int i = 0; i < 16; i++)
        free(malloc(100));
    raise(SIGKILL);
    return 0;
}
