/* expect: 0x0{14}03, 0x0{15}1, .*common buffer was freed that is not allocated */
#include <tagpool.h>

int main(void)
{
    static char memory[256];
    tagpool_common_buffer_free((tagpool_common_buffer_t *)memory);
    return 0;
}
