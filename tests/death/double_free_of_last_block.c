/* expect: CALLER_FREED_TWICE|CALLER_INVALID */
#include <stdlib.h>

enum { BLOCKS = 5000 };

int main(void)
{
    static char *blocks[BLOCKS];
    for (int i = 0; i < BLOCKS; i++)
        blocks[i] = malloc(64);
    for (int i = 0; i < BLOCKS; i++)
        free(blocks[i]);
    free(blocks[BLOCKS - 1]);
    return 0;
}
