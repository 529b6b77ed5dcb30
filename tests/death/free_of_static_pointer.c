/* expect: CALLER_NO_POOL */
#include <stdlib.h>

static char room[64];

int main(void)
{
    free(room);
    return 0;
}
