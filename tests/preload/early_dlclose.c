/*
 * A library is closed before the program has allocated anything: there is nothing to forget yet, and nothing to write
 * that into.
 */
#include <dlfcn.h>

int main(void)
{
    void *program = dlopen(0, RTLD_NOW);
    return program == 0 || dlclose(program) != 0;
}
