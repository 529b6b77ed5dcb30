/*
 * Programs that lack memory: systematic_target WHAT.  All they ask for is asked for here: none of it by stdio.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define APART __attribute__((noinline))

static void say(const char *text)
{
    if (write(STDOUT_FILENO, text, strlen(text)) < 0)
        _exit(9);
}

/* What is done with a block that is there, so that no compiler leaves it out. */
static void use(char *block)
{
    *(volatile char *)block = 1;
}

/* ---- ways to ask ---- */

static APART void careful(size_t size)
{
    char *block = malloc(size);
    if (block == NULL) {
        say("there is no memory\n");
        exit(1);
    }
    use(block);
    free(block);
}

static APART void careless(size_t size)
{
    char *block = malloc(size);
    use(block);
    free(block);
}

static APART char *asked(size_t size)
{
    return malloc(size);
}

/* ---- programs ---- */

static int be_careful(void)
{
    careful(10);
    careful(20);
    return 0;
}

static int be_careless(void)
{
    careful(10);
    careful(20);
    careless(30);
    careful(40);
    careful(50);
    return 0;
}

static int be_hung(void)
{
    careful(10);
    char *block = asked(20);
    while (block == NULL)
        say("waiting\n");
    free(block);
    return 0;
}

static APART void lose(void)
{
    char *first = asked(10);
    char *second = first != NULL ? asked(20) : NULL;
    if (second == NULL)
        return;
    free(second);
    free(first);
}

/* What the stack and registers still hold of it is gone. */
static APART int forget(void)
{
    char space[4096];
    memset(space, 0, sizeof(space));
    use(space);
    return space[1];
}

static int be_leaky(void)
{
    lose();
    return forget();
}

static int be_aborting(void)
{
    char *block = asked(10);
    if (block == NULL)
        abort();
    free(block);
    return 0;
}

static int be_silent(void)
{
    char *block = asked(10);
    if (block != NULL)
        say("all is well\n");
    free(block);
    return 0;
}

static int free_twice(void)
{
    char *first = asked(10), *second = asked(20);
    free(first);
    if (second == NULL)
        free(first);
    free(second);
    return 0;
}

/* The parent does not care how its child ends. */
static int fork_and_forget(void (*work)(size_t size))
{
    int status;
    careful(10);
    pid_t child = fork();
    if (child == 0) {
        work(20);
        exit(0);
    }
    return waitpid(child, &status, 0) == child ? 0 : 1;
}

static int be_parent(void)
{
    return fork_and_forget(careless);
}

static APART void vanish(size_t size)
{
    char *block = malloc(size);
    if (block == NULL)
        raise(SIGKILL);
    free(block);
}

static int be_bereft(void)
{
    return fork_and_forget(vanish);
}

/* As a shell does: what failed executes another program. */
static int execute(void)
{
    char *block = asked(10);
    free(block);
    execl("/proc/self/exe", "again", "careful", NULL);
    return 1;
}

static int be_shell(void)
{
    int status;
    pid_t child = fork();
    if (child == 0)
        exit(execute());
    return waitpid(child, &status, 0) == child ? 0 : 1;
}

#define TEN(step) step step step step step step step step step step

static int be_slow(void)
{
    usleep(100000);
    TEN(careful(10);)
    careless(20);
    TEN(careful(10);)
    return 0;
}

static int descend(unsigned depth);

static APART int descend_left(unsigned depth)
{
    return descend(depth - 1) + 1;
}

static APART int descend_right(unsigned depth)
{
    return descend(depth - 1) + 2;
}

static APART int descend(unsigned depth)
{
    careful(10);
    if (depth == 0)
        return 0;
    return depth % 3 == 0 ? descend_left(depth) + 1 : descend_right(depth) + 1;
}

static int be_recursive(void)
{
    for (unsigned depth = 0; depth < 100; depth++)
        descend(depth);
    return 0;
}

/* As many bytes as there are to read. */
static int be_reader(void)
{
    char text[64];
    ssize_t size = read(STDIN_FILENO, text, sizeof(text));
    if (size > 0)
        careful((size_t)size);
    return size > 0 ? 0 : 5;
}

static int be_crashed(void)
{
    careful(10);
    return raise(SIGSEGV);
}

static int be_endless(void)
{
    while (pause() != 0)
        ;
    return 0;
}

static const struct {
    const char *name;
    int (*run)(void);
} programs[] = {
    {"careful", be_careful},   {"careless", be_careless}, {"hung", be_hung},       {"leaky", be_leaky},
    {"aborting", be_aborting}, {"silent", be_silent},     {"twice", free_twice},   {"parent", be_parent},
    {"bereft", be_bereft},     {"shell", be_shell},       {"slow", be_slow},       {"recursive", be_recursive},
    {"reader", be_reader},     {"crashed", be_crashed},   {"endless", be_endless},
};

int main(int argc, char **argv)
{
    for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]); i++)
        if (argc > 1 && strcmp(programs[i].name, argv[1]) == 0)
            return programs[i].run();
    return 9;
}
