#include "target.h"
#include "label.h"
#include "launch.h"
#include "memory.h"
#include "number.h"
#include "pattern.h"
#include "procfs.h"
#include "report.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { TARGET_WAIT_MS = 1000, TARGET_PAUSE_MS = 10 };

const char *target_title(const struct process *process)
{
    static char title[96];
    char program[64];
    label_clean(program, sizeof(program), process->file.header.program, sizeof(process->file.header.program));
    snprintf(title, sizeof(title), "%s (%d)", program, (int)process->pid);
    return title;
}

bool target_has_ranges(const struct process *process)
{
    return procfs_maps_library(process->pid, LAUNCH_VERIFY_MODULE) > 0;
}

/* ---- finding ---- */

void target_names_add(struct target_names *names, const char *name)
{
    names->items = memory_grow(names->items, names->count, sizeof(*names->items));
    names->items[names->count++] = name;
}

/* 0: it is a name. */
static pid_t target_pid(const char *name)
{
    uint64_t pid;
    return number_read(&name, "", INT32_MAX, &pid) ? (pid_t)pid : 0;
}

/* One that ends meanwhile is not missed, unless it was asked for itself. */
static int target_add(struct targets *targets, const struct process *process, bool by_pid)
{
    for (size_t i = 0; i < targets->count; i++)
        if (targets->items[i].process == process)
            return 0;
    targets->items = memory_grow(targets->items, targets->count, sizeof(*targets->items));
    int error = control_open(&targets->items[targets->count], process);
    if (error == 0) {
        targets->count++;
        return 0;
    }
    if (error == -ESRCH && !by_pid)
        return 0;
    report("%s cannot be switched: %s.", target_title(process), control_error_text(error));
    return STATUS_FAILED;
}

static int target_explain_pid(pid_t pid)
{
    struct process_list list;
    if (process_find(&list, pid) == 0)
        process_explain(&list, pid);
    process_list_free(&list);
    return STATUS_FAILED;
}

/* Of our own user alone: root does not switch everybody's by a name. */
static bool target_is_named(const struct process *process, const char *name)
{
    return process->file.owner == geteuid() && (name == NULL || strcmp(process->file.header.program, name) == 0);
}

static int targets_add_named(struct targets *targets, const char *name)
{
    pid_t pid = name != NULL ? target_pid(name) : 0;
    bool is_found = false;
    for (size_t i = 0; i < targets->list.count; i++) {
        const struct process *process = &targets->list.items[i];
        if (pid != 0 ? process->pid != pid : !target_is_named(process, name))
            continue;
        is_found = true;
        int status = target_add(targets, process, pid != 0);
        if (status != 0)
            return status;
    }
    if (is_found || name == NULL)
        return 0;
    if (pid != 0)
        return target_explain_pid(pid);
    report("no process of yours that runs under tagpool has the name %s: 'tagpool top' shows who does.", name);
    return STATUS_FAILED;
}

int targets_open(struct targets *targets, const struct target_names *names)
{
    *targets = (struct targets){.count = 0};
    int error = process_find(&targets->list, 0);
    if (error != 0) {
        report("cannot read the directory of segments %s: %s.", process_directory(), strerror(-error));
        return STATUS_FAILED;
    }
    int status = names->count == 0 ? targets_add_named(targets, NULL) : 0;
    for (size_t i = 0; i < names->count && status == 0; i++)
        status = targets_add_named(targets, names->items[i]);
    return status;
}

void targets_close(struct targets *targets)
{
    for (size_t i = 0; i < targets->count; i++)
        control_close(&targets->items[i]);
    free(targets->items);
    process_list_free(&targets->list);
}

/* ---- changing ---- */

static int target_change_locked(const struct control *control,
                                int (*change)(struct target_change *change, void *context), void *context)
{
    struct control_state state;
    struct target_change wanted = {.process = control->process};
    int error = control_read(control, &state);
    if (error != 0)
        return error;
    wanted.rules = state.rules;
    int status = change(&wanted, context);
    if (status != 0)
        return status;
    if (!wanted.is_changed && wanted.limits.count == 0)
        return 0;
    return control_write(control, wanted.is_changed ? &wanted.rules : NULL,
                         wanted.limits.count != 0 ? &wanted.limits : NULL);
}

int targets_change(struct targets *targets, int (*change)(struct target_change *change, void *context), void *context)
{
    int first = 0;
    for (size_t i = 0; i < targets->count; i++) {
        const struct control *control = &targets->items[i];
        int result = control_lock(control);
        if (result == 0) {
            result = target_change_locked(control, change, context);
            control_unlock(control);
        }
        if (result < 0)
            report("%s was not switched: %s.", target_title(control->process), control_error_text(result));
        if (result != 0 && first == 0)
            first = result < 0 ? STATUS_FAILED : result;
    }
    return first;
}

/* ---- settings ---- */

static bool target_add_limit(struct control_limits *limits, const struct setting *setting, uint32_t slot, uint32_t kind)
{
    if (limits->count == TAGPOOL_SEGMENT_LIMITS)
        return false;
    limits->items[limits->count++] =
        (struct tagpool_segment_limit){slot, kind, setting->soft_bytes, setting->hard_bytes};
    return true;
}

static bool target_slot_fits(const struct tagpool_segment_slot *slot, const char *pattern)
{
    char name[TAGPOOL_SEGMENT_NAME + 1] = "";
    if (slot->used == 0 || slot->face == TAGPOOL_SEGMENT_LOOKASIDE)
        return false;
    memcpy(name, slot->name, TAGPOOL_SEGMENT_NAME);
    return pattern_fits_tag(pattern, slot->tag) || pattern_fits(pattern, name);
}

static int target_limit_slots(struct target_change *change, const struct setting *setting,
                              const struct segfile_reading *reading)
{
    const char *pattern = setting->rule.pattern;
    uint32_t before = change->limits.count;
    for (uint32_t i = 1; i < reading->count; i++)
        if (target_slot_fits(&reading->slots[i], pattern) &&
            !target_add_limit(&change->limits, setting, i, reading->slots[i].kind & 1)) {
            report("%s has more than %u tags like %s: set fewer limits at a time.", target_title(change->process),
                   TAGPOOL_SEGMENT_LIMITS, pattern);
            return STATUS_FAILED;
        }
    if (change->limits.count != before)
        return 0;
    report("%s has no tag %s yet, and a limit needs one that was used: 'tagpool top -p %d' shows them.",
           target_title(change->process), pattern, (int)change->process->pid);
    return STATUS_FAILED;
}

static int target_limit_pool(struct target_change *change, const struct setting *setting, uint32_t kind)
{
    if (target_add_limit(&change->limits, setting, TAGPOOL_SEGMENT_NO_SLOT, kind))
        return 0;
    report("more than %u limits at a time: set fewer.", TAGPOOL_SEGMENT_LIMITS);
    return STATUS_FAILED;
}

/* A pool by its name, or tags. */
static int target_apply_limit(struct target_change *change, const struct setting *setting)
{
    static const char *const pools[TAGPOOL_SEGMENT_REGIONS] = {"nonpaged", "paged"};
    struct segfile_reading reading;
    for (uint32_t kind = 0; kind < TAGPOOL_SEGMENT_REGIONS; kind++)
        if (strcmp(pools[kind], setting->rule.pattern) == 0)
            return target_limit_pool(change, setting, kind);
    int status = segfile_read(&change->process->file, &reading);
    if (status == 0)
        status = target_limit_slots(change, setting, &reading);
    segfile_reading_free(&reading);
    return status;
}

/* *is_missed: it was to be switched off, and was not on. */
static int target_apply_rule(struct target_change *change, const struct setting *setting, bool *is_missed)
{
    unsigned changed = 0;
    if (!setting_apply(setting, &change->rules, &changed)) {
        report("%s has %u rules, and no more are possible: take one away first, by -%s.", target_title(change->process),
               TAGPOOL_SEGMENT_RULES, setting->name);
        return STATUS_FAILED;
    }
    change->is_changed |= changed != 0;
    if (changed != 0 || setting->is_on)
        return 0;
    report("%s has no %s for %s.", target_title(change->process), setting->name, setting->rule.pattern);
    *is_missed = true;
    return 0;
}

int target_apply(struct target_change *change, void *context)
{
    const struct setting_list *list = context;
    bool is_missed = false;
    int status = 0;
    for (size_t i = 0; i < list->count && status == 0; i++)
        status = list->items[i].is_limit ? target_apply_limit(change, &list->items[i])
                                         : target_apply_rule(change, &list->items[i], &is_missed);
    if (status != 0)
        return status;
    return is_missed && !change->is_changed && change->limits.count == 0 ? STATUS_FAILED : 0;
}

/* ---- waiting ---- */

static bool target_is_seen(const struct control *control)
{
    struct control_state state;
    return control_read(control, &state) == 0 && state.is_seen;
}

static bool targets_are_seen(const struct targets *targets)
{
    for (size_t i = 0; i < targets->count; i++)
        if (!target_is_seen(&targets->items[i]))
            return false;
    return true;
}

void targets_wait(const struct targets *targets)
{
    const struct timespec pause = {.tv_nsec = TARGET_PAUSE_MS * 1000000};
    for (int waited = 0; waited < TARGET_WAIT_MS && !targets_are_seen(targets); waited += TARGET_PAUSE_MS)
        nanosleep(&pause, NULL);
    for (size_t i = 0; i < targets->count; i++)
        printf("%s: %s\n", target_title(targets->items[i].process),
               target_is_seen(&targets->items[i]) ? "in force" : "not read yet: the program has not allocated since");
}
