/* expect: DMA_FREED_TOO_OFTEN 0x0{15}1, */
#include <tagpool.h>

int main(void)
{
    static char memory[256];
    tagpool_common_buffer_free((tagpool_common_buffer_t *)memory);
    return 0;
}
