/* A name is copied into a block that has no room for the zero at its end. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *copy_name(const char *name)
{
    size_t length = strlen(name);
    char *copy = malloc(length);
    for (size_t i = 0; i <= length; i++)
        copy[i] = name[i];
    return copy;
}

int main(void)
{
    char *copy = copy_name("a name of 32 characters, exactly");
    puts(copy);
    free(copy);
    return 0;
}
