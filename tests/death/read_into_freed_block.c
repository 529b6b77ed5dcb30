/*
 * expect: FREED_POOL_TOUCHED 0x0000(\w{12}), 0x0{15}1, 0x0000\w{12}, 0x0{16}\).*pointer 0x\1, tag
 * verify: special=all
 * verify: special=auto
 */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

int main(void)
{
    char *block = malloc(100);
    free(block);
    read(open("/dev/zero", O_RDONLY), block, 10);
    return 0;
}
