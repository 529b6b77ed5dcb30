#include "memory.h"
#include "report.h"
#include "verifier.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- showing ---- */

static void verifier_print_kept(const struct keptfile *file)
{
    struct verifier_summary summary = {.bits = 0};
    struct words words;
    const char *program;
    for (size_t n = 0; (program = keptfile_program(file, n)) != NULL; n++)
        if (keptfile_get(file, program, &words))
            verifier_summary_add(&summary, program, &words.rules);
    verifier_print_summary(&summary);
    verifier_summary_free(&summary);
}

int verifier_query_settings(void)
{
    struct keptfile file;
    int status = keptfile_open(&file);
    if (status == 0)
        verifier_print_kept(&file);
    keptfile_close(&file);
    return status;
}

/* ---- who must be started anew ---- */

static bool verifier_runs(const struct targets *targets, const char *program)
{
    for (size_t i = 0; i < targets->count; i++)
        if (strcmp(program, "*") == 0 || strcmp(program, targets->items[i].process->file.header.program) == 0)
            return true;
    return false;
}

/* As the original, whose changes take a new start. */
static int verifier_say_restart(const struct target_names *programs)
{
    const struct target_names everybody = {.count = 0};
    struct targets targets;
    bool is_running = false;
    if (targets_open(&targets, &everybody) == 0)
        for (size_t i = 0; i < programs->count; i++)
            is_running |= verifier_runs(&targets, programs->items[i]);
    targets_close(&targets);
    if (!is_running)
        return VERIFIER_OK;
    printf("\nPrograms that run now must be started anew for the changes to take effect.\n");
    return VERIFIER_RESTART;
}

/* ---- changing ---- */

/* What no bit is for: the automatic checks, which are there anyway. */
static void verifier_keep_bits(struct words *words, uint32_t bits)
{
    *words = (struct words){.leaks = (bits & VERIFIER_TRACKING) != 0, .harden = bits == 0};
    verifier_set_bits(&words->rules, bits, VERIFIER_FAULT_MINUTES * 60000);
}

static int verifier_keep_program(struct keptfile *file, const char *program, const struct verifier *verifier)
{
    const struct verifier_faults *faults = &verifier->faults;
    uint32_t minutes = faults->has_minutes ? faults->minutes : VERIFIER_FAULT_MINUTES;
    struct words words;
    keptfile_get(file, program, &words);
    if (verifier->has_bits)
        verifier_keep_bits(&words, verifier->bits);
    if (faults->is_given && !verifier_set_faults(&words.rules, faults, minutes * 60000)) {
        report("that takes more than %u rules for %s: name fewer tags.", TAGPOOL_SEGMENT_RULES, program);
        return VERIFIER_ERROR;
    }
    keptfile_put(file, program, &words);
    return VERIFIER_OK;
}

struct verifier_keeping {
    struct keptfile *file;
    struct target_names names;
};

static int verifier_add_app(const char *app, void *context)
{
    struct verifier_keeping *keeping = context;
    target_names_add(&keeping->names, memory_copy_text(app));
    return 0;
}

/* For whom: applications of faults, programs named, or all that are verified already. */
static void verifier_find_programs(struct verifier_keeping *keeping, const struct verifier *verifier)
{
    const char *program;
    bool has_apps = verifier->faults.is_given && verifier->faults.apps[0] != '\0';
    if (has_apps)
        verifier_each_word(verifier->faults.apps, verifier_add_app, keeping);
    for (size_t i = 0; i < verifier->programs.count; i++)
        verifier_add_app(verifier->programs.items[i], keeping);
    for (size_t n = 0; keeping->names.count == n && (program = keptfile_program(keeping->file, n)) != NULL; n++)
        verifier_add_app(program, keeping);
}

static void verifier_keeping_free(struct verifier_keeping *keeping)
{
    for (size_t i = 0; i < keeping->names.count; i++)
        free((void *)(uintptr_t)keeping->names.items[i]);
    free(keeping->names.items);
}

static int verifier_keep_all(struct verifier_keeping *keeping, const struct verifier *verifier)
{
    int status = VERIFIER_OK;
    for (size_t i = 0; i < keeping->names.count && status == 0; i++)
        status = verifier_keep_program(keeping->file, keeping->names.items[i], verifier);
    if (status == 0 && keeping->names.count == 0) {
        report("no program was named: say /driver NAME, or /all.");
        status = VERIFIER_ERROR;
    }
    if (status == 0)
        status = keptfile_write(keeping->file);
    if (status != 0)
        return status;
    printf("New verifier settings:\n\n");
    verifier_print_kept(keeping->file);
    return verifier_say_restart(&keeping->names);
}

int verifier_keep(const struct verifier *verifier)
{
    struct keptfile file;
    struct verifier_keeping keeping = {.file = &file};
    int status = keptfile_open_to_change(&file);
    if (status == 0) {
        verifier_find_programs(&keeping, verifier);
        status = verifier_keep_all(&keeping, verifier);
    }
    verifier_keeping_free(&keeping);
    keptfile_close(&file);
    return status;
}

/* Comments stay, and lines that nobody understands. */
static int verifier_reset_in(struct verifier_keeping *keeping)
{
    const struct words nothing = {.leaks = false};
    const char *program;
    for (size_t n = 0; (program = keptfile_program(keeping->file, n)) != NULL; n++)
        verifier_add_app(program, keeping);
    for (size_t i = 0; i < keeping->names.count; i++)
        keptfile_put(keeping->file, keeping->names.items[i], &nothing);
    int status = keptfile_write(keeping->file);
    if (status != 0)
        return status;
    printf("New verifier settings:\n\n");
    verifier_print_kept(keeping->file);
    return verifier_say_restart(&keeping->names);
}

int verifier_reset(void)
{
    struct keptfile file;
    struct verifier_keeping keeping = {.file = &file};
    int status = keptfile_open_to_change(&file);
    if (status == 0)
        status = verifier_reset_in(&keeping);
    verifier_keeping_free(&keeping);
    keptfile_close(&file);
    return status;
}
