/* expect: 0x0{14}42, .*no pool ever gave out */
#include <tagpool.h>

int main(void)
{
    char local[32];
    tagpool_free(local);
    return 0;
}
