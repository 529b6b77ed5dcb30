/* One element too many, within the 16 bytes that an allocator rounds up to. */
#include <stdlib.h>

static void fill(char *digits, int count)
{
    for (int i = 0; i <= count; i++)
        digits[i] = (char)('0' + i % 10);
}

int main(void)
{
    char *digits = malloc(20);
    fill(digits, 20);
    free(digits);
    return 0;
}
