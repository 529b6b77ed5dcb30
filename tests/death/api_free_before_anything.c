/* expect: CALLER_NO_POOL */
#include <tagpool.h>

int main(void)
{
    char local[32];
    tagpool_free(local);
    return 0;
}
