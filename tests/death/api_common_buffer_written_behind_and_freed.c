/* expect: DMA_WRITTEN_OUTSIDE 0x0{15}2, 0x0{12}3001, .*, tag Buff */
#include <tagpool.h>

int main(void)
{
    const tagpool_common_buffer_options_t options = {.tag = TAGPOOL_TAG('B', 'u', 'f', 'f'), .size = 3 * 4096 + 1};
    tagpool_common_buffer_t *buffer = tagpool_common_buffer_alloc(&options);
    char *address = tagpool_common_buffer_address(buffer);
    address[4 * 4096 - 1] = 0;
    tagpool_common_buffer_free(buffer);
    return 0;
}
