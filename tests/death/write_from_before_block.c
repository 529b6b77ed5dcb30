/*
 * expect: BEYOND_END_TOUCHED 0x0000(\w{12}), 0x0{15}0, 0x0000\w{12}, 0x0{16}\).*pointer 0x\1, tag
 * verify: special=all
 */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

int main(void)
{
    char *block = calloc(1, 100);
    write(open("/dev/null", O_WRONLY), block - 1, 10);
    return 0;
}
