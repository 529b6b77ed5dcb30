/* expect: 0x0{14}(07|46), */
#include <stdlib.h>

int main(void)
{
    char *block = malloc(1000000);
    free(block);
    free(block);
    return 0;
}
