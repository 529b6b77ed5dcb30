/*
 * The variables that put a program under tagpool: what `run` sets and `env` prints.
 */
#ifndef LAUNCH_H
#define LAUNCH_H

#include "options.h"

#define LAUNCH_MODULE "libtagpool-preload.so"
#define LAUNCH_VERIFY_MODULE "libtagpool-verify.so" /* beside it; for verified programs, besides it */

struct launch {
    const char *tags;    /* "module", "site", or NULL: as the environment says */
    char *through;       /* comma-separated, or NULL */
    int export_for_shell;
    int is_verified;
};

/* Options that run and env share; context is a struct launch. */
int launch_set_tags(void *context, const char *value);
int launch_set_through(void *context, const char *value);

#define LAUNCH_TAGS_HELP "what a tag stands for: module (default) or site"
#define LAUNCH_THROUGH_OPTION                                                                                          \
    {0, "through", "LIB,...", "libraries whose allocations count for their caller", launch_set_through}

/* Free what the options hold. */
void launch_free(struct launch *launch);

/*
 * Call set(name, value, context) for each variable; value NULL: it must not be set.  0, or a status after one
 * sentence on stderr when the module is not there.
 */
int launch_each_variable(const struct launch *launch,
                         void (*set)(const char *name, const char *value, void *context), void *context);

#endif
