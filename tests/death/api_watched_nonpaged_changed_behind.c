/*
 * expect: SPECIAL_OVERRUN_FOUND 0x0000\w{11}0, 0x0000(\w{11}4), 0x0{16}, .*pointer 0x\1, tag Conn, page
 * verify: watch
 */
#include <tagpool.h>

int main(void)
{
    char *block = tagpool_alloc(TAGPOOL_NONPAGED, 100, TAGPOOL_TAG('C', 'o', 'n', 'n'));
    block[100] = 'x';
    tagpool_free(block);
    return 0;
}
