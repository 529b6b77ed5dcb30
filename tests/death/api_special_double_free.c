/*
 * expect: CALLER_FREED_TWICE 0x0{16}, 0x0{8}6E6E6F43, 0x0000(\w{9}FA0)\).*pointer 0x\1, tag Conn, page
 * verify: special=all guard=each
 */
#include <tagpool.h>

int main(void)
{
    void *block = tagpool_alloc(TAGPOOL_PAGED, 96, TAGPOOL_TAG('C', 'o', 'n', 'n'));
    tagpool_free(block);
    tagpool_free(block);
    return 0;
}
