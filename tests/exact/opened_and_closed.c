/*
 * Libraries that come and go at the same addresses: what stands there now is charged, not what stood there before.
 *
 * Usage: opened_and_closed FIRST-LIBRARY SECOND-LIBRARY
 */
#include "hold.h"

#include <dlfcn.h>
#include <stdlib.h>

enum { ROUNDS = 50 };

static void *first_place;
static int same_place;

/* What it allocates stays, its code goes. */
static int use(const char *path, const char *name, int count)
{
    void *library = dlopen(path, RTLD_NOW);
    if (library == NULL)
        return 1;
    int (*words)(int) = (int (*)(int))dlsym(library, name);
    if (words == NULL || words(count) != 0)
        return 1;
    if (first_place == NULL)
        first_place = (void *)words;
    same_place += (void *)words == first_place;
    return dlclose(library);
}

int main(int argc, char **argv)
{
    if (argc != 3)
        return 64;
    for (int i = 0; i < ROUNDS; i++)
        if (use(argv[1], "first_strdup", 100) != 0 || use(argv[2], "second_strdup", 60) != 0)
            return 2;
    hold();
    return same_place > ROUNDS ? 0 : 77; /* else it proved nothing */
}
