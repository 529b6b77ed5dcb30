/* What new[] made is given to free. */
#include <cstdio>
#include <cstdlib>

static char *read_name()
{
    char *name = new char[40];
    std::snprintf(name, 40, "from the other module");
    return name;
}

int main()
{
    char *name = read_name();
    std::puts(name);
    std::free(name);
    return 0;
}
