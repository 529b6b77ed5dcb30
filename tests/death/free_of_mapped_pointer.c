/* expect: CALLER_NO_POOL 0x0000([0-9A-F]{12}), .*pointer 0x\1, page 0x\1 */
#include <stdlib.h>
#include <sys/mman.h>

int main(void)
{
    free(mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    return 0;
}
