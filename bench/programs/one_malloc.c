/* A program that allocates once: what start-up costs when the allocator is needed after all. */
#include <stdlib.h>

int main(void)
{
    volatile char *block = malloc(100);
    if (block == NULL)
        return 1;
    block[0] = 1;
    free((void *)block);
    return 0;
}
