/* expect: LOOKASIDE_UNKNOWN */
#include <tagpool.h>

int main(void)
{
    static tagpool_lookaside_t list;
    tagpool_lookaside_alloc(&list);
    return 0;
}
