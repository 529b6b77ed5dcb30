/* expect: CALLER_FREED_TWICE|CALLER_INVALID */
#include <stdlib.h>

int main(void)
{
    char *block = malloc(100);
    free(block);
    return realloc(block, 10000) == NULL;
}
