/*
 * expect: CALLER_WRONG_TAG 0x0000(\w{11}0), 0x0{8}6E6E6F43, 0x0{8}656D6F53\).*pointer 0x\1, tag Conn, page
 * verify: watch
 */
#include <tagpool.h>

int main(void)
{
    void *block = tagpool_alloc(TAGPOOL_PAGED, 100, TAGPOOL_TAG('C', 'o', 'n', 'n'));
    tagpool_free_tag(block, TAGPOOL_TAG('S', 'o', 'm', 'e'));
    return 0;
}
