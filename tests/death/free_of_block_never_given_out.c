/* expect: CALLER_INVALID */
#include <stdlib.h>

int main(void)
{
    char *block = malloc(4096);
    free(block + 4 * 4096);
    return 0;
}
