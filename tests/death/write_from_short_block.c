/*
 * expect: BUFFER_TOO_LONG 0x0000(\w{12}), 0x0{15}2, 0x0{14}64, 0x0{16}\).*pointer 0x\1, tag
 * verify: special=all
 * verify: special=auto
 */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

int main(void)
{
    char *block = calloc(1, 100);
    write(open("/dev/null", O_WRONLY), block + 1, 100);
    return 0;
}
