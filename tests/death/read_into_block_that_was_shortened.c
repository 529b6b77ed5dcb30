/*
 * expect: BUFFER_TOO_LONG 0x0000\w{12}, 0x0{15}2, 0x0{14}64, 0x0{16}\)
 * verify: special=all
 * verify: special=auto
 */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

int main(void)
{
    char *block = realloc(malloc(100), 90);
    read(open("/dev/zero", O_RDONLY), block, 100);
    return 0;
}
