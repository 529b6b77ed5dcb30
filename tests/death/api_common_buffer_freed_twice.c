/* expect: DMA_FREED_TOO_OFTEN 0x0{15}1, */
#include <tagpool.h>

int main(void)
{
    const tagpool_common_buffer_options_t options = {.tag = TAGPOOL_TAG('B', 'u', 'f', 'f'), .size = 100};
    tagpool_common_buffer_t *buffer = tagpool_common_buffer_alloc(&options);
    tagpool_common_buffer_free(buffer);
    tagpool_common_buffer_free(buffer);
    return 0;
}
