/* expect: CALLER_NO_POOL */
#include <stdlib.h>
#include <tagpool.h>

/* The library alone has its pools; malloc's blocks are the C library's. */
int main(void)
{
    tagpool_free(malloc(100));
    return 0;
}
