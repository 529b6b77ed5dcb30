/*
 * expect: BEYOND_END_TOUCHED 0x0000(\w{9}000), 0x0{15}1, 0x0000\w{12}, 0x0{16}\).*pointer 0x\1, tag
 * verify: special=all guard=each
 */
#include <tagpool.h>

int main(void)
{
    char *block = tagpool_alloc(TAGPOOL_NONPAGED, 96, TAGPOOL_TAG('C', 'o', 'n', 'n'));
    block[96] = 'x';
    tagpool_free(block);
    return 0;
}
