/* expect: CALLER_FREED_TWICE|CALLER_INVALID */
#include <stdlib.h>

/* Caught when the page runs empty one block too soon: at no cost to a good free. */
enum { BLOCKS = 5000 };

int main(void)
{
    static char *blocks[BLOCKS];
    for (int i = 0; i < BLOCKS; i++)
        blocks[i] = malloc(64);
    free(blocks[2000]);
    free(blocks[2000]);
    for (int i = 0; i < BLOCKS; i++)
        if (i != 2000)
            free(blocks[i]);
    return 0;
}
