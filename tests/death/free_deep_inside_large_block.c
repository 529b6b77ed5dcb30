/* expect: CALLER_INVALID */
#include <stdlib.h>

int main(void)
{
    char *block = malloc(1000000);
    free(block + 500000 / 4096 * 4096);
    return 0;
}
