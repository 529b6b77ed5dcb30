/* expect: 0x0{14}42, .*no pool ever gave out */
#include <stdlib.h>

static char room[64];

int main(void)
{
    free(room);
    return 0;
}
