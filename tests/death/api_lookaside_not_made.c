/* expect: 0x0{14}CB, .*lookaside list was used that was not made, or was destroyed */
#include <tagpool.h>

int main(void)
{
    static tagpool_lookaside_t list;
    tagpool_lookaside_alloc(&list);
    return 0;
}
