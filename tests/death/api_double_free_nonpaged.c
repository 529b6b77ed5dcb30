/* expect: CALLER_FREED_TWICE 0x0{16}, 0x\w{16}, 0x\w{16}\).*tag Conn, page */
#include <tagpool.h>

int main(void)
{
    void *kept = tagpool_alloc(TAGPOOL_NONPAGED, 100, TAGPOOL_TAG('C', 'o', 'n', 'n'));
    void *block = tagpool_alloc(TAGPOOL_NONPAGED, 100, TAGPOOL_TAG('C', 'o', 'n', 'n'));
    tagpool_free(block);
    tagpool_free(block);
    tagpool_free(kept);
    return 0;
}
