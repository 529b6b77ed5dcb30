#include "command.h"
#include "launch.h"
#include "report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int env_set_export(void *context, const char *value)
{
    (void)value;
    ((struct launch *)context)->export_for_shell = 1;
    return 0;
}

static const struct option_row env_rows[] = {
    {0, "tags", "KIND", LAUNCH_TAGS_HELP, launch_set_tags},
    LAUNCH_THROUGH_OPTION,
    LAUNCH_VERIFY_OPTIONS,
    {0, "export", NULL, "lines for a shell: eval \"$(tagpool env --export)\"", env_set_export},
};

static const struct option_table env_table = {
    .command = "tagpool env",
    .synopsis = "[OPTIONS]",
    .summary = "Print the variables that put a program under tagpool, one VARIABLE=VALUE a line, for a\n"
               "service's EnvironmentFile or a container's --env-file.",
    .rows = env_rows,
    .count = sizeof(env_rows) / sizeof(env_rows[0]),
};

/* In single quotes, in which only the quote itself is special to a shell. */
static void env_print_quoted(const char *text)
{
    putchar('\'');
    for (; *text != '\0'; text++)
        if (*text == '\'')
            fputs("'\\''", stdout);
        else
            putchar(*text);
    putchar('\'');
}

static void env_print_plain(const char *name, const char *value, void *context)
{
    (void)context;
    if (value != NULL)
        printf("%s=%s\n", name, value);
}

static void env_print_export(const char *name, const char *value, void *context)
{
    (void)context;
    if (value == NULL) {
        printf("unset %s\n", name);
        return;
    }
    printf("export %s=", name);
    env_print_quoted(value);
    putchar('\n');
}

static int env_print(const struct launch *launch)
{
    void (*print)(const char *, const char *, void *) = launch->export_for_shell ? env_print_export : env_print_plain;
    int status = launch_each_variable(launch, print, NULL);
    if (status == 0 && launch->verify.is_on) {
        char *words = verify_text(&launch->verify, NULL);
        print("TAGPOOL_VERIFY", words, NULL);
        free(words);
    }
    int written = report_flush_output();
    return status != 0 ? status : written;
}

int command_env(int argc, char **argv)
{
    struct launch launch = LAUNCH_INIT;
    int next;
    int status = options_parse(&env_table, argc, argv, &launch, &next);
    if (status == 0)
        status = verify_finish(&launch.verify);
    if (status == 0 && launch.verify.both_ends)
        status = report_usage("--ends=both is two runs: env needs over, under or mixed.");
    if (status == 0 && next != argc)
        status = report_usage("env takes no argument, but there is '%s': to run a program say 'tagpool run %s'.",
                              argv[next], argv[next]);
    else if (status == 0)
        status = env_print(&launch);
    else if (status == OPTIONS_HELP)
        status = report_flush_output();
    launch_free(&launch);
    return status;
}
