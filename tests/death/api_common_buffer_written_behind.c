/* expect: 0x0{14}0F, 0x0{15}2, 0x0{14}64, .*wrote behind the end of a common buffer: .*, tag Buff */
#include <tagpool.h>

int main(void)
{
    const tagpool_common_buffer_options_t options = {.tag = TAGPOOL_TAG('B', 'u', 'f', 'f'), .size = 100};
    tagpool_common_buffer_t *buffer = tagpool_common_buffer_alloc(&options);
    char *address = tagpool_common_buffer_address(buffer);
    address[100] = 'x';
    tagpool_common_buffer_flush(buffer);
    return 0;
}
