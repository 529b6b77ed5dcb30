/*
 * Two libraries that allocate by strdup, getline, g_strdup and std::string, each so many times as it is told.
 *
 * Usage: two_libraries LINES-FILE COUNT-OF-FIRST COUNT-OF-SECOND
 */
#define WORDS_NAME(what) first_##what
#include "words.h"
#undef WORDS_NAME
#undef TEST_WORDS_H
#define WORDS_NAME(what) second_##what
#include "words.h"

#include "hold.h"

#include <stdlib.h>

/* Of ours: stdio would else allocate it in the first getline, for who calls that. */
static char buffer[65536];

int main(int argc, char **argv)
{
    if (argc != 4)
        return 2;
    int first = atoi(argv[2]), second = atoi(argv[3]);
    FILE *lines = fopen(argv[1], "r");
    if (lines == NULL || setvbuf(lines, buffer, _IOFBF, sizeof(buffer)) != 0)
        return 2;
    if (first_strdup(first) || second_strdup(second) || first_getline(first, lines) || second_getline(second, lines) ||
        first_g_strdup(first) || second_g_strdup(second) || first_string(first) || second_string(second))
        return 2;
    hold();
    return 0;
}
