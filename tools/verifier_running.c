#include "label.h"
#include "memory.h"
#include "report.h"
#include "verifier.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* ---- counters ---- */

/* Of one program, or of several by one name. */
struct running {
    char name[64];
    unsigned loads;
    struct tagpool_segment_verifier sums;
    uint64_t peak_blocks[TAGPOOL_SEGMENT_REGIONS];
    uint64_t peak_bytes[TAGPOOL_SEGMENT_REGIONS];
};

struct running_list {
    struct running *items;
    size_t count;
    uint32_t bits;
};

static int running_copy_header(const struct segfile *file, void *context)
{
    memcpy(context, file->view.header, sizeof(struct tagpool_segment_header));
    return 0;
}

static uint64_t running_live(uint64_t sum)
{
    return (int64_t)sum > 0 ? sum : 0;
}

static struct running *running_find(struct running_list *list, const char *name)
{
    for (size_t i = 0; i < list->count; i++)
        if (strcmp(list->items[i].name, name) == 0)
            return &list->items[i];
    list->items = memory_grow(list->items, list->count, sizeof(*list->items));
    struct running *running = &list->items[list->count++];
    *running = (struct running){.loads = 0};
    strcpy(running->name, name);
    return running;
}

static void running_add(struct running_list *list, const struct process *process)
{
    struct tagpool_segment_header header;
    struct tagpool_segment_verifier sums;
    char name[64];
    if (segfile_guard(&process->file, running_copy_header, &header) != 0 ||
        segfile_read_verifier(&process->file, &sums) != 0)
        return;
    label_clean(name, sizeof(name), process->file.header.program, sizeof(process->file.header.program));
    struct running *running = running_find(list, name);
    running->loads++;
    for (size_t i = 0; i < sizeof(sums) / sizeof(uint64_t); i++)
        ((uint64_t *)&running->sums)[i] += ((uint64_t *)&sums)[i];
    for (size_t kind = 0; kind < TAGPOOL_SEGMENT_REGIONS; kind++) {
        uint64_t blocks = running_live(sums.live_blocks[kind]), bytes = running_live(sums.live_bytes[kind]);
        uint64_t peak_blocks = header.verified_peak_blocks[kind], peak_bytes = header.verified_peak_bytes[kind];
        running->peak_blocks[kind] += blocks > peak_blocks ? blocks : peak_blocks;
        running->peak_bytes[kind] += bytes > peak_bytes ? bytes : peak_bytes;
    }
}

/* Those that a rule is in force in. */
static bool running_is_verified(const struct control *control, struct ruleset *rules)
{
    struct control_state state;
    if (control_read(control, &state) != 0 || state.rules.count == 0)
        return false;
    *rules = state.rules;
    return true;
}

static int running_collect(struct running_list *list)
{
    const struct target_names everybody = {.count = 0};
    struct targets targets;
    struct ruleset rules;
    int status = targets_open(&targets, &everybody);
    for (size_t i = 0; i < targets.count && status == 0; i++)
        if (running_is_verified(&targets.items[i], &rules)) {
            list->bits |= verifier_bits_of(&rules);
            running_add(list, targets.items[i].process);
        }
    targets_close(&targets);
    return status;
}

/* ---- showing ---- */

static void running_print_number(FILE *out, const char *name, uint64_t number)
{
    fprintf(out, "%s: %llu\n", name, (unsigned long long)number);
}

static void running_print_all(FILE *out, const struct running_list *list)
{
    struct tagpool_segment_verifier sums = {0};
    for (size_t n = 0; n < list->count; n++)
        for (size_t i = 0; i < sizeof(sums) / sizeof(uint64_t); i++)
            ((uint64_t *)&sums)[i] += ((const uint64_t *)&list->items[n].sums)[i];
    uint64_t attempted = sums.succeeded_total + sums.failed_total + sums.failed_deliberately_total;
    fprintf(out, "Level: %08X\n", list->bits);
    running_print_number(out, "RaiseIrqls", 0);
    running_print_number(out, "AcquireSpinLocks", 0);
    running_print_number(out, "SynchronizeExecutions", 0);
    running_print_number(out, "AllocationsAttempted", attempted);
    running_print_number(out, "AllocationsSucceeded", sums.succeeded_total);
    running_print_number(out, "AllocationsSucceededSpecialPool", sums.special_total);
    running_print_number(out, "AllocationsWithNoTag", 0);
    running_print_number(out, "AllocationsFailed", sums.failed_total);
    running_print_number(out, "AllocationsFailedDeliberately", sums.failed_deliberately_total);
    running_print_number(out, "Trims", 0);
    running_print_number(out, "UnTrackedPool", sums.page_or_more_total);
}

static void running_print_one(FILE *out, const struct running *running)
{
    enum { NONPAGED, PAGED };
    fprintf(out, "\nName: %s, loads: %u, unloads: 0\n", running->name, running->loads);
    running_print_number(out, "CurrentPagedPoolAllocations", running_live(running->sums.live_blocks[PAGED]));
    running_print_number(out, "CurrentNonPagedPoolAllocations", running_live(running->sums.live_blocks[NONPAGED]));
    running_print_number(out, "PeakPagedPoolAllocations", running->peak_blocks[PAGED]);
    running_print_number(out, "PeakNonPagedPoolAllocations", running->peak_blocks[NONPAGED]);
    running_print_number(out, "PagedPoolUsageInBytes", running_live(running->sums.live_bytes[PAGED]));
    running_print_number(out, "NonPagedPoolUsageInBytes", running_live(running->sums.live_bytes[NONPAGED]));
    running_print_number(out, "PeakPagedPoolUsageInBytes", running->peak_bytes[PAGED]);
    running_print_number(out, "PeakNonPagedPoolUsageInBytes", running->peak_bytes[NONPAGED]);
}

int verifier_query(FILE *out)
{
    struct running_list list = {.count = 0};
    char when[64];
    time_t now = time(NULL);
    struct tm parts;
    int status = running_collect(&list);
    if (status != 0)
        return status;
    strftime(when, sizeof(when), "%Y-%m-%d, %H:%M:%S", localtime_r(&now, &parts));
    fprintf(out, "%s\n", when);
    if (list.count == 0)
        fprintf(out, "No drivers are currently verified.\n");
    else {
        running_print_all(out, &list);
        fprintf(out, "\nVerified drivers:\n");
    }
    for (size_t i = 0; i < list.count; i++)
        running_print_one(out, &list.items[i]);
    free(list.items);
    return 0;
}

/* Until a signal ends it. */
int verifier_log(const char *path, uint32_t seconds)
{
    FILE *out = fopen(path, "ae");
    int status = 0;
    if (out == NULL) {
        report("cannot write %s: %s.", path, strerror(errno));
        return VERIFIER_ERROR;
    }
    while (status == 0) {
        status = verifier_query(out);
        fputc('\n', out);
        errno = 0;
        if (fflush(out) != 0 || ferror(out)) {
            report("cannot write %s: %s.", path, errno != 0 ? strerror(errno) : "write error");
            status = VERIFIER_ERROR;
        } else if (status == 0) {
            sleep(seconds);
        }
    }
    fclose(out);
    return status;
}

/* ---- changing ---- */

static int running_set_bits(struct target_change *change, void *context)
{
    const struct verifier *verifier = context;
    change->is_changed = true;
    verifier_set_bits(&change->rules, verifier->bits, 0);
    return 0;
}

/* As it is kept for the program, or else the standard. */
static int running_add_program(struct target_change *change, void *context)
{
    const struct verifier *verifier = context;
    struct keptfile file;
    struct words words;
    bool is_kept = false;
    if (verifier->has_bits)
        return running_set_bits(change, context);
    if (keptfile_open(&file) == 0)
        is_kept = keptfile_get(&file, change->process->file.header.program, &words);
    keptfile_close(&file);
    change->is_changed = true;
    if (is_kept)
        change->rules = words.rules;
    else
        verifier_set_bits(&change->rules, VERIFIER_STANDARD, 0);
    return 0;
}

static int running_remove_program(struct target_change *change, void *context)
{
    (void)context;
    change->is_changed = true;
    change->rules = (struct ruleset){.count = 0};
    return 0;
}

static int running_set_faults(struct target_change *change, void *context)
{
    const struct verifier_faults *faults = &((const struct verifier *)context)->faults;
    change->is_changed = true;
    if (verifier_set_faults(&change->rules, faults, faults->has_minutes ? faults->minutes * 60000 : 0))
        return 0;
    report("%s has no room for that many rules: name fewer tags.", target_title(change->process));
    return VERIFIER_ERROR;
}

/* Programs by name (none: those that are verified) are changed; so many were in *count. */
static int running_change(const struct target_names *names, int (*change)(struct target_change *change, void *context),
                          const struct verifier *verifier)
{
    struct targets targets;
    struct ruleset rules;
    int status = targets_open(&targets, names);
    size_t kept = 0;
    for (size_t i = 0; i < targets.count; i++)
        if (names->count != 0 || running_is_verified(&targets.items[i], &rules))
            targets.items[kept++] = targets.items[i];
        else
            control_close(&targets.items[i]);
    targets.count = kept;
    if (status == 0 && kept == 0) {
        report("no program that runs is verified: say /volatile /adddriver NAME.");
        status = VERIFIER_ERROR;
    }
    if (status == 0)
        status = targets_change(&targets, change, (void *)(uintptr_t)verifier);
    targets_close(&targets);
    return status;
}

static int running_add_name(const char *name, void *context)
{
    target_names_add(context, memory_copy_text(name));
    return 0;
}

static int running_change_faults(const struct verifier *verifier)
{
    struct target_names apps = {.count = 0};
    verifier_each_word(verifier->faults.apps, running_add_name, &apps);
    int status = running_change(apps.count != 0 ? &apps : &verifier->programs, running_set_faults, verifier);
    for (size_t i = 0; i < apps.count; i++)
        free((void *)(uintptr_t)apps.items[i]);
    free(apps.items);
    return status;
}

static void running_print_summary(bool is_faults)
{
    const struct target_names everybody = {.count = 0};
    struct verifier_summary summary = {.bits = 0};
    struct targets targets;
    struct ruleset rules;
    int status = targets_open(&targets, &everybody);
    for (size_t i = 0; i < targets.count && status == 0; i++)
        if (running_is_verified(&targets.items[i], &rules))
            verifier_summary_add(&summary, targets.items[i].process->file.header.program, &rules);
    targets_close(&targets);
    printf(is_faults ? "New Low Resources Simulation options:\n\n" : "New verifier settings:\n\n");
    if (is_faults)
        verifier_print_faults(&summary, false);
    else
        verifier_print_summary(&summary);
    printf("\nThese settings are in force now, in programs that run, and hold until those end\n"
           "or the settings are changed.\n");
    verifier_summary_free(&summary);
}

int verifier_change_running(const struct verifier *verifier)
{
    bool is_adding = verifier->added.count != 0;
    int status = 0;
    if (is_adding)
        status = running_change(&verifier->added, running_add_program, verifier);
    if (status == 0 && verifier->removed.count != 0)
        status = running_change(&verifier->removed, running_remove_program, verifier);
    if (status == 0 && verifier->has_bits && !is_adding)
        status = running_change(&verifier->programs, running_set_bits, verifier);
    if (status == 0 && verifier->faults.is_given)
        status = running_change_faults(verifier);
    if (status == 0)
        running_print_summary(verifier->faults.is_given && !verifier->has_bits && !is_adding);
    return status;
}
