/* expect: 0x0{14}42, */
#include <stdlib.h>

int main(void)
{
    char local[32];
    return realloc(local, 1000) == NULL;
}
