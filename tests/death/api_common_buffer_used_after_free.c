/* expect: DMA_NOT_MAPPED */
#include <tagpool.h>

int main(void)
{
    const tagpool_common_buffer_options_t options = {.tag = TAGPOOL_TAG('B', 'u', 'f', 'f'), .size = 3 * 4096};
    tagpool_common_buffer_t *buffer = tagpool_common_buffer_alloc(&options);
    tagpool_common_buffer_free(buffer);
    tagpool_common_buffer_flush(buffer);
    return 0;
}
