/* Where parsing fails, both the parser and its caller free the buffer. */
#include <stdlib.h>
#include <string.h>

static int parse(char *text)
{
    if (strchr(text, '=') != NULL)
        return 0;
    free(text);
    return -1;
}

int main(void)
{
    char *text = malloc(16);
    strcpy(text, "no equals sign");
    int status = parse(text);
    free(text);
    return status == 0;
}
