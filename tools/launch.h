/*
 * The variables that put a program under tagpool: what `run` sets and `env` prints.
 */
#ifndef LAUNCH_H
#define LAUNCH_H

#include "options.h"
#include "verify.h"

#define LAUNCH_MODULE "libtagpool-preload.so"
#define LAUNCH_VERIFY_MODULE "libtagpool-verify.so" /* beside it; for verified programs, besides it */

struct launch {
    const char *tags; /* "module", "site", or NULL: as the environment says */
    char *through;    /* comma-separated, or NULL */
    int export_for_shell;
    struct verify verify;
    char *given; /* options of the verifier, as they were given; or NULL */
};

#define LAUNCH_INIT                                                                                                    \
    {                                                                                                                  \
        .verify = VERIFY_INIT                                                                                          \
    }

/* Options that run and env share; context is a struct launch.  Tags are also what the verifier is to look at. */
int launch_set_tags(void *context, const char *value);
int launch_set_through(void *context, const char *value);
int launch_set_verify(void *context, const char *value);
int launch_set_special_pool(void *context, const char *value);
int launch_set_sizes(void *context, const char *value);
int launch_set_ends(void *context, const char *value);
int launch_set_exact(void *context, const char *value);
int launch_set_track(void *context, const char *value);
int launch_set_leaks(void *context, const char *value);
int launch_set_harden(void *context, const char *value);
int launch_set_fail(void *context, const char *value);
int launch_set_quarantine(void *context, const char *value);
int launch_set_guard(void *context, const char *value);

#define LAUNCH_TAGS_HELP "what a tag stands for: module (default) or site; with --verify, tags to verify: A,B"
#define LAUNCH_THROUGH_OPTION                                                                                          \
    {0, "through", "LIB,...", "libraries whose allocations count for their caller", launch_set_through}
#define LAUNCH_VERIFY_OPTIONS                                                                                          \
    {0, "verify", "[=LIST]", "watch for misuse of memory and tell of it; all: special pool for all, leaks",            \
     launch_set_verify},                                                                                               \
    {0, "special-pool", "[=WHICH]", "blocks on pages of their own: auto[:PERCENT], all, or sample:1/N",                \
     launch_set_special_pool},                                                                                         \
    {0, "sizes", "A-B", "verify blocks of A to B bytes alone", launch_set_sizes},                                      \
    {0, "ends", "WHICH", "guard the end of blocks (over), their beginning (under), mixed, or both in two runs",        \
     launch_set_ends},                                                                                                 \
    {0, "exact", NULL, "blocks end at the guard to the byte", launch_set_exact},                                       \
    {0, "track", "[=WHAT]", "know who allocated each block: site, stacks (samples of 8 frames), or full",              \
     launch_set_track},                                                                                                \
    {0, "leaks", "[=all]", "tell of blocks that are lost at the end; all: of every one that is left",                  \
     launch_set_leaks},                                                                                                \
    {0, "harden", NULL, "check each block as it is freed; cheap enough for always", launch_set_harden},                \
    {0, "fail", "HOW", "make allocations fail: probability:N,tag:T,site:S,nth:N,after:TIME", launch_set_fail},         \
    {0, "quarantine", "BLOCKS", "how many freed blocks are kept from use", launch_set_quarantine},                     \
    {0, "guard", "KIND", "how guards are made: auto, madvise, userfault, protect", launch_set_guard}

/* Free what the options hold. */
void launch_free(struct launch *launch);

/*
 * Call set(name, value, context) for each variable; value NULL: it must not be set.  0, or a status after one
 * sentence on stderr when the module is not there.
 */
int launch_each_variable(const struct launch *launch,
                         void (*set)(const char *name, const char *value, void *context), void *context);

#endif
