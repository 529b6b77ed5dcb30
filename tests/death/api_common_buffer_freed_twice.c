/* expect: 0x0{14}03, 0x0{15}1, .*common buffer was freed that is not allocated */
#include <tagpool.h>

int main(void)
{
    const tagpool_common_buffer_options_t options = {.tag = TAGPOOL_TAG('B', 'u', 'f', 'f'), .size = 100};
    tagpool_common_buffer_t *buffer = tagpool_common_buffer_alloc(&options);
    tagpool_common_buffer_free(buffer);
    tagpool_common_buffer_free(buffer);
    return 0;
}
