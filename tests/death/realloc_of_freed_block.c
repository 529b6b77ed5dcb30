/* expect: 0x0{14}(07|46), */
#include <stdlib.h>

int main(void)
{
    char *block = malloc(100);
    free(block);
    return realloc(block, 10000) == NULL;
}
