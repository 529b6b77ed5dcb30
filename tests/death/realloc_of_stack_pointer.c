/* expect: CALLER_NO_POOL */
#include <stdlib.h>

int main(void)
{
    char local[32];
    return realloc(local, 1000) == NULL;
}
