/*
 * expect: SPECIAL_OVERRUN_FOUND 0x0000\w{9}F90, 0x0000(\w{9}FF4), 0x0{16}, .*pointer 0x\1, tag Conn, page
 * verify: special=all guard=each
 * verify: special=all tags=Co*
 */
#include <tagpool.h>

int main(void)
{
    char *block = tagpool_alloc(TAGPOOL_NONPAGED, 100, TAGPOOL_TAG('C', 'o', 'n', 'n'));
    block[100] = 'x';
    tagpool_free_tag(block, TAGPOOL_TAG('C', 'o', 'n', 'n'));
    return 0;
}
