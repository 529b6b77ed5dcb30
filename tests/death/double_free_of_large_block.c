/* expect: CALLER_FREED_TWICE|CALLER_INVALID */
#include <stdlib.h>

int main(void)
{
    char *block = malloc(1000000);
    free(block);
    free(block);
    return 0;
}
