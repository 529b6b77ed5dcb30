/* One of three requests for memory is not looked at. */
#include <stdio.h>
#include <stdlib.h>

static char *make_title(void)
{
    char *title = malloc(100);
    title[0] = '\0';
    return title;
}

int main(void)
{
    char *input = malloc(1000), *output = malloc(1000);
    if (input == NULL || output == NULL)
        return fputs("no memory\n", stderr), 1;
    char *title = make_title();
    free(title);
    free(output);
    free(input);
    return 0;
}
