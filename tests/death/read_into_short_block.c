/*
 * expect: BUFFER_TOO_LONG 0x0000(\w{12}), 0x0{15}2, 0x0{14}65, 0x0{16}\).*pointer 0x\1, tag
 * verify: special=all
 * verify: special=all guard=userfault
 * verify: special=all ends=under
 * verify: special=auto
 */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

int main(void)
{
    char *block = malloc(100);
    read(open("/dev/zero", O_RDONLY), block, 101);
    return 0;
}
