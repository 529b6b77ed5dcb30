/* The end of a line is cut off, also where the line is empty. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void chomp(char *line)
{
    line[strlen(line) - 1] = '\0';
}

int main(void)
{
    char *line = malloc(64);
    line[0] = '\0';
    chomp(line);
    puts(line);
    free(line);
    return 0;
}
