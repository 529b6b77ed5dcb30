#include "command.h"
#include "report.h"

#include <fcntl.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>
#include <tagpool/tagpool.h>
#include <unistd.h>

struct command {
    const char *name;
    const char *summary;
    int (*run)(int argc, char **argv);
};

static const struct command main_commands[] = {
    {"run", "run a program with every block of its memory tagged and counted", command_run},
    {"env", "print the variables that do the same for a service or container", command_env},
    {"leaks", "tell which blocks of a program that runs are lost", command_leaks},
    {"set", "switch the verifier in programs that run", command_set},
    {"top", "show which tag holds how much memory, live", command_top},
};

/* Links to this program that stand for a command. */
static const struct command main_links[] = {
    {"gflags", "tagpool set by the name of GFlags, and what is kept", command_gflags},
    {"poolmon", "tagpool top in the layout and language of PoolMon", command_poolmon},
    {"verifier", "tagpool run by the name of Driver Verifier", command_verifier},
};

#define MAIN_COUNT(table) (sizeof(table) / sizeof((table)[0]))

static const struct command *main_find(const struct command *table, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(table[i].name, name) == 0)
            return &table[i];
    return NULL;
}

static int main_help(void)
{
    printf("Usage: tagpool COMMAND [ARGUMENTS]\n"
           "Tagged memory pools for any Linux program: who holds its memory, exactly and live.\n\nCommands:\n");
    for (size_t i = 0; i < MAIN_COUNT(main_commands); i++)
        printf("  %-10s %s\n", main_commands[i].name, main_commands[i].summary);
    printf("\nOther names of this program:\n");
    for (size_t i = 0; i < MAIN_COUNT(main_links); i++)
        printf("  %-10s %s\n", main_links[i].name, main_links[i].summary);
    printf("\n'tagpool COMMAND --help' tells more, and so does 'man tagpool'.\n");
    return report_flush_output();
}

static int main_version(void)
{
    printf("tagpool %d.%d\n", TAGPOOL_VERSION_MAJOR, TAGPOOL_VERSION_MINOR);
    return report_flush_output();
}

static int main_option(const char *word)
{
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)
        return main_help();
    if (strcmp(word, "--version") == 0)
        return main_version();
    return report_usage("there is no command '%s': 'tagpool --help' lists them.", word);
}

/*
 * A descriptor 0 to 2 that is closed would be the next file that some library opens, and take what is printed.  Open
 * for reading alone it is an error to print there.  A program that is run finds it closed again.
 */
static void main_hold_descriptors(void)
{
    int fd;
    do
        fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0)
        close(fd);
}

int main(int argc, char **argv)
{
    main_hold_descriptors();
    /* Characters only: numbers are the same everywhere. */
    setlocale(LC_CTYPE, "");
    const char *name = argc > 0 ? argv[0] : "tagpool";
    const char *slash = strrchr(name, '/');
    const struct command *command = main_find(main_links, MAIN_COUNT(main_links), slash != NULL ? slash + 1 : name);
    if (command != NULL) {
        report_set_name(command->name);
        return command->run(argc, argv);
    }
    if (argc < 2)
        return report_usage("no command was given: 'tagpool --help' lists them.");
    command = main_find(main_commands, MAIN_COUNT(main_commands), argv[1]);
    return command != NULL ? command->run(argc - 1, argv + 1) : main_option(argv[1]);
}
