#include "launch.h"
#include "memory.h"
#include "report.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- options ---- */

/* As it was given, for who is told how to do the same again. */
static void launch_note(struct launch *launch, const char *name, const char *value)
{
    char *before = launch->given, *option = memory_copy_text(name);
    for (char *at = strchr(option, '_'); at != NULL; at = strchr(at, '_'))
        *at = '-';
    launch->given = memory_format("%s --%s%s%s", before != NULL ? before : "", option, value != NULL ? "=" : "",
                                  value != NULL ? value : "");
    free(option);
    free(before);
}

static int launch_set_patterns(struct launch *launch, const char *value)
{
    launch_note(launch, "tags", value);
    return verify_set_tags(&launch->verify, value);
}

int launch_set_tags(void *context, const char *value)
{
    struct launch *launch = context;
    if (strcmp(value, "module") != 0 && strcmp(value, "site") != 0)
        return launch_set_patterns(launch, value);
    launch->tags = value;
    return 0;
}

/* What the module has room for (src/site.c). */
#define LAUNCH_THROUGH_NAMES 28
#define LAUNCH_THROUGH_TEXT 1000

static int launch_check_through(const char *list)
{
    size_t names = 1;
    for (const char *at = list; *at != '\0'; at++)
        names += *at == ',';
    if (names <= LAUNCH_THROUGH_NAMES && strlen(list) <= LAUNCH_THROUGH_TEXT)
        return 0;
    return report_usage("--through names more than %d libraries, or takes more than %d characters: name fewer.",
                        LAUNCH_THROUGH_NAMES, LAUNCH_THROUGH_TEXT);
}

int launch_set_through(void *context, const char *value)
{
    struct launch *launch = context;
    if (value[0] == '\0' || value[strcspn(value, " \t\n'\"\\$")] != '\0')
        return report_usage("--through=%s is no list of libraries: say --through=libfoo.so.1,libbar.so.", value);
    char *list = launch->through == NULL ? memory_copy_text(value) : memory_format("%s,%s", launch->through, value);
    free(launch->through);
    launch->through = list;
    return launch_check_through(list);
}

#define LAUNCH_VERIFY(name)                                                                                            \
    int launch_set_##name(void *context, const char *value)                                                            \
    {                                                                                                                  \
        launch_note(context, #name, value);                                                                            \
        return verify_set_##name(&((struct launch *)context)->verify, value);                                          \
    }
LAUNCH_VERIFY(verify)
LAUNCH_VERIFY(special_pool)
LAUNCH_VERIFY(sizes)
LAUNCH_VERIFY(ends)
LAUNCH_VERIFY(exact)
LAUNCH_VERIFY(track)
LAUNCH_VERIFY(leaks)
LAUNCH_VERIFY(harden)
LAUNCH_VERIFY(fail)
LAUNCH_VERIFY(quarantine)
LAUNCH_VERIFY(guard)
#undef LAUNCH_VERIFY

void launch_free(struct launch *launch)
{
    verify_free(&launch->verify);
    free(launch->given);
    launch->given = NULL;
    free(launch->through);
    launch->through = NULL;
}

/* ---- the module ---- */

/*
 * Where the module lies, seen from this program's directory: installed, then in the build tree.  A libdir outside
 * the prefix is absolute.
 */
static const char *const launch_places[] = {
    TAGPOOL_LIBDIR_NAME "/tagpool/",
    "lib/tagpool/",
    "lib/x86_64-linux-gnu/tagpool/",
    "preload/",
};

/* Directory of this program's parent directory: PREFIX of PREFIX/bin/tagpool. */
static int launch_find_prefix(char prefix[PATH_MAX])
{
    ssize_t length = readlink("/proc/self/exe", prefix, PATH_MAX - 1);
    if (length <= 0)
        return 0;
    prefix[length] = '\0';
    for (int up = 0; up < 2; up++) {
        char *slash = strrchr(prefix, '/');
        if (slash == NULL)
            return 0;
        *slash = '\0';
    }
    return 1;
}

static char *launch_find_installed(void)
{
    char prefix[PATH_MAX], found[PATH_MAX];
    if (!launch_find_prefix(prefix))
        return NULL;
    for (size_t i = 0; i < sizeof(launch_places) / sizeof(launch_places[0]); i++) {
        const char *place = launch_places[i];
        char *path =
            memory_format("%s%s%s" LAUNCH_MODULE, place[0] == '/' ? "" : prefix, place[0] == '/' ? "" : "/", place);
        int is_there = realpath(path, found) != NULL && access(found, R_OK) == 0;
        free(path);
        if (is_there)
            return memory_copy_text(found);
    }
    return NULL;
}

/* The module's path, or NULL after a sentence. */
static char *launch_find_module(void)
{
    char found[PATH_MAX];
    const char *given = getenv("TAGPOOL_PRELOAD");
    if (given != NULL && given[0] != '\0') {
        if (realpath(given, found) != NULL && access(found, R_OK) == 0)
            return memory_copy_text(found);
        report("TAGPOOL_PRELOAD names %s, which cannot be read: correct or unset it.", given);
        return NULL;
    }
    char *path = launch_find_installed();
    if (path == NULL)
        report("cannot find " LAUNCH_MODULE " where tagpool was installed: install it anew, or set TAGPOOL_PRELOAD to"
               " its path.");
    return path;
}

/* ---- the variables ---- */

/* What stands beside the module under another name. */
static char *launch_beside(const char *module, const char *name)
{
    const char *slash = strrchr(module, '/');
    return memory_format("%.*s%s", (int)(slash != NULL ? slash + 1 - module : 0), module, name);
}

static char *launch_modules(const char *module, bool is_verified)
{
    char *beside = launch_beside(module, LAUNCH_VERIFY_MODULE);
    char *list = is_verified ? memory_format("%s:%s", module, beside) : memory_copy_text(module);
    free(beside);
    return list;
}

static bool launch_is_ours(const char *entry, const char *module)
{
    char *beside = launch_beside(module, LAUNCH_VERIFY_MODULE);
    bool is_ours = strcmp(entry, module) == 0 || strcmp(entry, beside) == 0;
    free(beside);
    return is_ours;
}

/* Our modules, then what the user preloads already, but for those; blanks between entries become colons. */
static char *launch_preload_list(const char *module, bool is_verified)
{
    const char *before = getenv("LD_PRELOAD");
    char *list = launch_modules(module, is_verified);
    char *rest = memory_copy_text(before != NULL ? before : ""), *state = NULL;
    for (char *entry = strtok_r(rest, ": \n", &state); entry != NULL; entry = strtok_r(NULL, ": \n", &state)) {
        if (launch_is_ours(entry, module))
            continue;
        char *longer = memory_format("%s:%s", list, entry);
        free(list);
        list = longer;
    }
    free(rest);
    return list;
}

int launch_each_variable(const struct launch *launch, void (*set)(const char *name, const char *value, void *context),
                         void *context)
{
    char *module = launch_find_module();
    if (module == NULL)
        return STATUS_NO_MODULE;
    if (module[strcspn(module, ": \n")] != '\0') {
        report("%s has a blank or a colon in its path, which LD_PRELOAD cannot hold: move it.", module);
        free(module);
        return STATUS_NO_MODULE;
    }
    char *list = launch_preload_list(module, launch->verify.is_on && verify_has_rules(&launch->verify));
    set("LD_PRELOAD", list, context);
    if (launch->tags != NULL)
        set("TAGPOOL_TAGS", strcmp(launch->tags, "site") == 0 ? launch->tags : NULL, context);
    if (launch->through != NULL)
        set("TAGPOOL_THROUGH", launch->through, context);
    free(list);
    free(module);
    return 0;
}
