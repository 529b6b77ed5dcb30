#include "record.h"
#include "os.h"
#include "segment.h"

#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <string.h>

#define RECORD_ALIGN 8u

/* Kept for the libraries' paths. */
#define RECORD_SPARE (16 * TP_KIB)

static char record_buffer[TAGPOOL_REPORT_RECORD_MAX] __attribute__((aligned(RECORD_ALIGN)));
static uint32_t record_is_busy;

/* --- items ---------------------------------------------------------------------------------------------------- */

static void *record_room(struct tp_record *record, enum tagpool_report_item_type type, size_t size, size_t spare)
{
    struct tagpool_report_item item = {type, (uint32_t)size};
    size_t padded = sizeof(item) + tp_round_up(size, RECORD_ALIGN);
    if (padded + spare > record->size - record->used)
        return NULL;
    char *at = record->at + record->used;
    memset(at, 0, padded);
    memcpy(at, &item, sizeof(item));
    record->used += padded;
    return at + sizeof(item);
}

static void record_add(struct tp_record *record, enum tagpool_report_item_type type, const void *head, size_t head_size,
                       const void *tail, size_t tail_size, size_t spare)
{
    char *to = record_room(record, type, head_size + tail_size, spare);
    if (to == NULL)
        return;
    memcpy(to, head, head_size);
    if (tail_size != 0)
        memcpy(to + head_size, tail, tail_size);
}

void tp_record_add(struct tp_record *record, enum tagpool_report_item_type type, const void *head, size_t head_size,
                   const void *tail, size_t tail_size)
{
    record_add(record, type, head, head_size, tail, tail_size, RECORD_SPARE);
}

/* --- frames --------------------------------------------------------------------------------------------------- */

static const struct link_map *record_library(uintptr_t pc)
{
    struct dl_find_object object;
    return _dl_find_object((void *)pc, &object) == 0 ? object.dlfo_link_map : NULL;
}

static uint32_t record_module(struct tp_record *record, const struct link_map *library)
{
    for (uint32_t i = 0; i < record->module_count; i++)
        if (record->modules[i] == library)
            return i;
    if (library == NULL || record->module_count == TP_RECORD_MODULES)
        return TAGPOOL_REPORT_NO_MODULE;
    record->modules[record->module_count] = library;
    return record->module_count++;
}

static struct tagpool_report_frame record_frame(struct tp_record *record, uintptr_t pc, bool exact)
{
    const struct link_map *library = record_library(exact ? pc : pc - 1);
    uint32_t module = record_module(record, library);
    return (struct tagpool_report_frame){
        .pc = pc,
        .offset = module != TAGPOOL_REPORT_NO_MODULE ? pc - library->l_addr : pc,
        .module = module,
        .is_exact = exact,
    };
}

void tp_record_add_stack(struct tp_record *record, enum tagpool_report_stack_role role, const uintptr_t *frames,
                         unsigned count, bool exact)
{
    const struct tagpool_report_stack stack = {role, count};
    size_t size = sizeof(stack) + count * sizeof(struct tagpool_report_frame);
    char *to = record_room(record, TAGPOOL_REPORT_STACK, size, RECORD_SPARE);
    if (to == NULL)
        return;
    memcpy(to, &stack, sizeof(stack));
    for (unsigned i = 0; i < count; i++) {
        struct tagpool_report_frame frame = record_frame(record, frames[i], exact && i == 0);
        memcpy(to + sizeof(stack) + i * sizeof(frame), &frame, sizeof(frame));
    }
}

unsigned tp_record_own_frames(const uintptr_t *frames, unsigned count)
{
    const struct link_map *own = record_library((uintptr_t)&tp_record_own_frames);
    unsigned i = 0;
    while (i < count && record_library(frames[i] - 1) == own)
        i++;
    return i < count ? i : 0;
}

/* --- the whole ------------------------------------------------------------------------------------------------ */

bool tp_record_begin(struct tp_record *record, enum tagpool_report_kind kind)
{
    if (tp_os_environment("TAGPOOL_REPORT") == NULL || __atomic_exchange_n(&record_is_busy, 1, __ATOMIC_ACQUIRE))
        return false;
    memset(record, 0, sizeof(*record));
    record->at = record_buffer;
    record->size = sizeof(record_buffer);
    struct tagpool_report_record *head = (struct tagpool_report_record *)record_buffer;
    memset(head, 0, sizeof(*head));
    head->magic = TAGPOOL_REPORT_MAGIC;
    head->kind = kind;
    head->pid = tp_os_process_id();
    head->time_ns = tp_os_realtime_ns();
    if (program_invocation_short_name != NULL)
        strncpy(head->program, program_invocation_short_name, sizeof(head->program) - 1);
    record->used = sizeof(*head);
    return true;
}

/* The program itself has no name in its link map. */
static void record_add_module(struct tp_record *record, uint32_t index)
{
    const struct link_map *library = record->modules[index];
    const struct tagpool_report_module module = {.index = index, .base = library->l_addr};
    char own[256];
    const char *path = library->l_name;
    if (path == NULL || path[0] == '\0') {
        int length = tp_os_read_link("/proc/self/exe", own, sizeof(own) - 1);
        own[length > 0 ? length : 0] = '\0';
        path = own;
    }
    record_add(record, TAGPOOL_REPORT_MODULE, &module, sizeof(module), path, strlen(path) + 1, 0);
}

bool tp_record_finish(struct tp_record *record)
{
    for (uint32_t i = 0; i < record->module_count; i++)
        record_add_module(record, i);
    ((struct tagpool_report_record *)record->at)->size = (uint32_t)record->used;
    int error = tp_os_append(tp_os_environment("TAGPOOL_REPORT"), record->at, record->used);
    __atomic_store_n(&record_is_busy, 0, __ATOMIC_RELEASE);
    return error == 0;
}
