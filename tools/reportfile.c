#include "reportfile.h"
#include "launch.h"
#include "memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define REPORTFILE_ROOM (2 * (size_t)TAGPOOL_REPORT_RECORD_MAX)

/* ---- items ---- */

/* An item's fixed part; fields that a newer writer put behind it are passed over. */
static bool reportfile_copy(void *to, size_t want, const unsigned char *payload, size_t size)
{
    if (size < want)
        return false;
    memcpy(to, payload, want);
    return true;
}

/* An older writer has no size. */
static bool reportfile_take_stop(struct reportfile_record *record, const unsigned char *payload, size_t size)
{
    const size_t known = sizeof(record->stop) - sizeof(record->stop.size);
    return reportfile_copy(&record->stop, sizeof(record->stop), payload, size) ||
           reportfile_copy(&record->stop, known, payload, size);
}

static bool reportfile_take_block(struct reportfile_record *record, const unsigned char *payload, size_t size)
{
    bool taken = reportfile_copy(&record->block, sizeof(record->block), payload, size);
    record->block.name[sizeof(record->block.name) - 1] = '\0';
    return taken;
}

static bool reportfile_take_stack(struct reportfile_record *record, const unsigned char *payload, size_t size)
{
    struct tagpool_report_stack head;
    if (!reportfile_copy(&head, sizeof(head), payload, size) || head.count > TAGPOOL_REPORT_FRAMES ||
        (size - sizeof(head)) / sizeof(struct tagpool_report_frame) < head.count)
        return false;
    if (head.role == 0 || head.role >= REPORTFILE_ROLES)
        return true; /* a role that is not known yet */
    struct reportfile_stack *stack = &record->stacks[head.role];
    stack->count = head.count;
    memcpy(stack->frames, payload + sizeof(head), head.count * sizeof(stack->frames[0]));
    return true;
}

static bool reportfile_take_module(struct reportfile_record *record, const unsigned char *payload, size_t size)
{
    struct tagpool_report_module head;
    if (!reportfile_copy(&head, sizeof(head), payload, size) ||
        memchr(payload + sizeof(head), '\0', size - sizeof(head)) == NULL)
        return false;
    if (record->module_count < REPORTFILE_MODULES)
        record->modules[record->module_count++] = (struct reportfile_module){
            .index = head.index, .base = head.base, .path = (const char *)payload + sizeof(head)};
    return true;
}

static bool reportfile_take_bytes(struct reportfile_record *record, const unsigned char *payload, size_t size)
{
    struct tagpool_report_bytes head;
    if (!reportfile_copy(&head, sizeof(head), payload, size) || size - sizeof(head) < head.count)
        return false;
    if (record->bytes_count < REPORTFILE_BYTES)
        record->bytes[record->bytes_count++] =
            (struct reportfile_bytes){.address = head.address, .count = head.count, .bytes = payload + sizeof(head)};
    return true;
}

static bool reportfile_take_leak(struct reportfile_record *record, const unsigned char *payload, size_t size)
{
    bool taken = reportfile_copy(&record->leak, sizeof(record->leak), payload, size);
    record->leak.name[sizeof(record->leak.name) - 1] = '\0';
    return taken;
}

static bool reportfile_take_fault(struct reportfile_record *record, const unsigned char *payload, size_t size)
{
    return reportfile_copy(&record->fault, sizeof(record->fault), payload, size);
}

static bool reportfile_take_counters(struct reportfile_record *record, const unsigned char *payload, size_t size)
{
    return reportfile_copy(&record->counters, sizeof(record->counters), payload, size);
}

static bool reportfile_take_crash(struct reportfile_record *record, const unsigned char *payload, size_t size)
{
    return reportfile_copy(&record->crash, sizeof(record->crash), payload, size);
}

typedef bool reportfile_take_item(struct reportfile_record *record, const unsigned char *payload, size_t size);

static reportfile_take_item *const reportfile_items[] = {
    [TAGPOOL_REPORT_STOP] = reportfile_take_stop,   [TAGPOOL_REPORT_BLOCK] = reportfile_take_block,
    [TAGPOOL_REPORT_STACK] = reportfile_take_stack, [TAGPOOL_REPORT_MODULE] = reportfile_take_module,
    [TAGPOOL_REPORT_BYTES] = reportfile_take_bytes, [TAGPOOL_REPORT_LEAK] = reportfile_take_leak,
    [TAGPOOL_REPORT_FAULT] = reportfile_take_fault, [TAGPOOL_REPORT_COUNTERS] = reportfile_take_counters,
    [TAGPOOL_REPORT_CRASH] = reportfile_take_crash,
};

/* False: no such item can be in an honest record. */
static bool reportfile_take_one(struct reportfile_record *record, const struct tagpool_report_item *item,
                                const unsigned char *payload)
{
    if (item->type == 0 || item->type == TAGPOOL_REPORT_MAGIC)
        return false;
    if (item->type >= sizeof(reportfile_items) / sizeof(reportfile_items[0]))
        return true;
    record->items |= 1u << item->type;
    return reportfile_items[item->type](record, payload, item->size);
}

/* ---- records ---- */

static bool reportfile_is_magic(const unsigned char *data)
{
    const uint32_t magic = TAGPOOL_REPORT_MAGIC;
    return memcmp(data, &magic, sizeof(magic)) == 0;
}

/* Can a record begin with these bytes?  Its header if all of it is there. */
static bool reportfile_head(const unsigned char *data, size_t size, struct tagpool_report_record *head)
{
    memset(head, 0, sizeof(*head));
    if (size < sizeof(*head))
        return true;
    memcpy(head, data, sizeof(*head));
    head->program[sizeof(head->program) - 1] = '\0';
    return head->size >= sizeof(*head) && head->size <= TAGPOOL_REPORT_RECORD_MAX && head->size % 8 == 0;
}

/* Take a whole record in, whose header is good; false: an item of it is not. */
static bool reportfile_take_record(const unsigned char *data, const struct tagpool_report_record *head,
                                   struct reportfile_record *record)
{
    struct tagpool_report_item item;
    memset(record, 0, sizeof(*record));
    record->data = data;
    record->size = head->size;
    record->head = *head;
    for (size_t at = sizeof(*head); at < head->size;) {
        size_t left = head->size - at;
        if (left < sizeof(item))
            return false;
        memcpy(&item, data + at, sizeof(item));
        left -= sizeof(item);
        if (item.size > left || !reportfile_take_one(record, &item, data + at + sizeof(item)))
            return false;
        size_t padded = ((size_t)item.size + 7) / 8 * 8;
        at += sizeof(item) + (padded < left ? padded : left);
    }
    return true;
}

/* ---- whose frames ---- */

static bool reportfile_is_of(const struct reportfile_record *record, const struct tagpool_report_frame *frame,
                             const char *name)
{
    const struct reportfile_module *module = reportfile_module(record, frame);
    const char *slash = module != NULL ? strrchr(module->path, '/') : NULL;
    return slash != NULL && strcmp(slash + 1, name) == 0;
}

/*
 * On their way to the engine, calls of the C library's functions pass through a module of ours: of a stop, its frames
 * say nothing, wherever they are, and those of the engine itself nothing on top.
 */
static void reportfile_drop_own(struct reportfile_record *record)
{
    struct reportfile_stack *stack = &record->stacks[TAGPOOL_REPORT_STACK_HERE], kept = {.count = 0};
    for (uint32_t i = 0; i < stack->count; i++) {
        const struct tagpool_report_frame *frame = &stack->frames[i];
        bool is_own = reportfile_is_of(record, frame, LAUNCH_VERIFY_MODULE) ||
                      (kept.count == 0 && reportfile_is_of(record, frame, LAUNCH_MODULE));
        if (!is_own)
            kept.frames[kept.count++] = *frame;
    }
    if (kept.count != 0)
        *stack = kept;
}

/* ---- finding them ---- */

/*
 * A write that was cut short, by a full file system or a kill, leaves a record whose end lies in the next one.  Its
 * lengths may fit all the same; then it is not followed by a record, but holds the beginning of one.
 */
static bool reportfile_is_torn(const unsigned char *data, size_t size, size_t record_size)
{
    struct tagpool_report_record head;
    if (size - record_size < sizeof(uint32_t) || reportfile_is_magic(data + record_size))
        return false;
    for (size_t at = sizeof(head); at < record_size; at++)
        if (reportfile_is_magic(data + at) && reportfile_head(data + at, size - at, &head) &&
            head.size > record_size - at)
            return true;
    return false;
}

/* The first place from which on a record may begin: `size` if there is none. */
static size_t reportfile_next_magic(const unsigned char *data, size_t size)
{
    const uint32_t magic = TAGPOOL_REPORT_MAGIC;
    const unsigned char *found = memmem(data, size, &magic, sizeof(magic));
    if (found != NULL)
        return (size_t)(found - data);
    for (size_t tail = size < sizeof(magic) - 1 ? size : sizeof(magic) - 1; tail > 0; tail--)
        if (memcmp(data + size - tail, &magic, tail) == 0) /* its beginning */
            return size - tail;
    return size;
}

size_t reportfile_parse(const unsigned char *data, size_t size, bool is_last, struct reportfile_record *record,
                        bool *is_found)
{
    struct tagpool_report_record head;
    *is_found = false;
    for (size_t at = 0;; at++) {
        at += reportfile_next_magic(data + at, size - at);
        if (at == size)
            return size;
        if (!reportfile_head(data + at, size - at, &head))
            continue;
        if (head.size == 0 || head.size > size - at) {
            if (is_last)
                continue;
            return at;
        }
        if (reportfile_take_record(data + at, &head, record) && !reportfile_is_torn(data + at, size - at, head.size)) {
            if (reportfile_has(record, TAGPOOL_REPORT_STOP))
                reportfile_drop_own(record);
            *is_found = true;
            return at + head.size;
        }
    }
}

const struct reportfile_module *reportfile_module(const struct reportfile_record *record,
                                                  const struct tagpool_report_frame *frame)
{
    for (size_t i = 0; i < record->module_count; i++)
        if (frame->module != TAGPOOL_REPORT_NO_MODULE && record->modules[i].index == frame->module)
            return &record->modules[i];
    return NULL;
}

/* ---- the file ---- */

void reportfile_init(struct reportfile *file, int fd)
{
    *file = (struct reportfile){.fd = fd, .data = memory_alloc(REPORTFILE_ROOM, 1)};
}

/* One that a killed run left under our PID stays where it is: it may be that of another PID namespace, in use. */
enum { REPORTFILE_NAMES = 100 };

int reportfile_create(struct reportfile *file, char **path)
{
    static const char *const directories[] = {"/dev/shm", "/tmp"};
    int fd = -1;
    for (size_t i = 0; i < 2 * REPORTFILE_NAMES && fd < 0; i++) {
        size_t number = i % REPORTFILE_NAMES;
        *path = memory_format(number != 0 ? "%s/tagpool-report.%u.%d.%zu" : "%s/tagpool-report.%u.%d",
                              directories[i / REPORTFILE_NAMES], (unsigned)geteuid(), (int)getpid(), number);
        fd = open(*path, O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (fd < 0)
            free(*path);
    }
    if (fd < 0)
        return -errno;
    reportfile_init(file, fd);
    return 0;
}

void reportfile_fini(struct reportfile *file)
{
    close(file->fd);
    free(file->data);
}

static void reportfile_consume(struct reportfile *file, bool is_last, reportfile_take *take, void *context)
{
    /* Too large for a stack that may be small. */
    struct reportfile_record *record = memory_alloc(1, sizeof(*record));
    bool is_found;
    size_t at = 0;
    do {
        at += reportfile_parse(file->data + at, file->size - at, is_last, record, &is_found);
        if (is_found)
            take(record, context);
    } while (is_found);
    file->size -= at;
    memmove(file->data, file->data + at, file->size);
    free(record);
}

/* Q4: zeros are no records, and a hole may be larger than all memory. */
static void reportfile_skip_hole(struct reportfile *file)
{
    off_t data = lseek(file->fd, (off_t)file->offset, SEEK_DATA);
    if (data <= (off_t)file->offset)
        return;
    file->offset = (uint64_t)data;
    file->size = 0;
}

/* Up to `end`, if there is more; what could not be used yet is less than a record, so there is always room. */
static bool reportfile_fill(struct reportfile *file, uint64_t end)
{
    reportfile_skip_hole(file);
    if (file->offset >= end)
        return false;
    ssize_t got;
    do
        got = pread(file->fd, file->data + file->size, REPORTFILE_ROOM - file->size, (off_t)file->offset);
    while (got < 0 && errno == EINTR);
    if (got <= 0)
        return false;
    file->size += (size_t)got;
    file->offset += (uint64_t)got;
    return true;
}

void reportfile_read(struct reportfile *file, bool is_last, reportfile_take *take, void *context)
{
    struct stat st;
    /* Only as far as it goes now: who writes faster than we read must not keep us from everything else. */
    uint64_t end = fstat(file->fd, &st) == 0 ? (uint64_t)st.st_size : 0;
    while (reportfile_fill(file, end))
        reportfile_consume(file, false, take, context);
    if (is_last)
        reportfile_consume(file, true, take, context);
}
