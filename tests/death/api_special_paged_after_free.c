/*
 * expect: FREED_POOL_TOUCHED 0x0000(\w{9}FA0), 0x0{15}0, 0x0000\w{12}, 0x0{16}\).*pointer 0x\1, tag
 * verify: special=all guard=each
 * verify: special=all tags=Conn
 */
#include <tagpool.h>

int main(void)
{
    char *block = tagpool_alloc(TAGPOOL_PAGED, 96, TAGPOOL_TAG('C', 'o', 'n', 'n'));
    tagpool_free(block);
    return block[0];
    return 0;
}
