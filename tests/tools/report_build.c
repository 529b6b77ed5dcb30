#include "report_build.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void report_build_init(struct report_build *build, enum tagpool_report_kind kind, uint32_t pid, const char *program)
{
    memset(build, 0, sizeof(*build));
    build->size = sizeof(build->head);
    build->head = (struct tagpool_report_record){
        .magic = TAGPOOL_REPORT_MAGIC,
        .size = sizeof(build->head),
        .kind = kind,
        .pid = pid,
        .time_ns = UINT64_C(1700000000000000000),
    };
    memcpy(build->head.program, program, strnlen(program, sizeof(build->head.program) - 1));
}

void report_build_item(struct report_build *build, uint32_t type, const void *first, size_t first_size,
                       const void *second, size_t second_size)
{
    struct tagpool_report_item item = {.type = type, .size = (uint32_t)(first_size + second_size)};
    if (build->size + sizeof(item) + item.size + 8 > sizeof(build->bytes))
        abort();
    memcpy(build->bytes + build->size, &item, sizeof(item));
    build->size += sizeof(item);
    memcpy(build->bytes + build->size, first, first_size);
    if (second_size != 0)
        memcpy(build->bytes + build->size + first_size, second, second_size);
    build->size += (item.size + 7u) / 8 * 8;
    build->head.size = (uint32_t)build->size;
}

struct build_rule {
    uint32_t code;
    unsigned constant_at;
    uint64_t constant;
};

#define X(name, number) BUILD_##name = number,
enum { TAGPOOL_STOP_CODES(X) };
#undef X
static const struct build_rule build_rules[] = {{0, 0, 0},
#define X(name, code, at, constant, ...) {BUILD_##code, at, constant},
                                                TAGPOOL_RULES(X)
#undef X
};

void report_build_stop(struct report_build *build, uint32_t row, uint64_t address, enum tagpool_report_access access,
                       const uint64_t parameters[4])
{
    const struct build_rule *rule = &build_rules[row];
    struct tagpool_report_stop stop = {
        .rule = row, .code = rule->code, .address = address, .access = access, .thread = 1234};
    memcpy(stop.parameters, parameters, sizeof(stop.parameters));
    if (rule->constant_at != 0)
        stop.parameters[rule->constant_at - 1] = rule->constant;
    report_build_item(build, TAGPOOL_REPORT_STOP, &stop, sizeof(stop), NULL, 0);
}

void report_build_block(struct report_build *build, const struct tagpool_report_block *block, const char *tag,
                        const char *name)
{
    struct tagpool_report_block copy = *block;
    memcpy(&copy.tag, tag, sizeof(copy.tag));
    memcpy(copy.name, name, strnlen(name, sizeof(copy.name) - 1));
    report_build_item(build, TAGPOOL_REPORT_BLOCK, &copy, sizeof(copy), NULL, 0);
}

void report_build_stack(struct report_build *build, enum tagpool_report_stack_role role,
                        const struct tagpool_report_frame *frames, uint32_t count)
{
    struct tagpool_report_stack head = {.role = role, .count = count};
    report_build_item(build, TAGPOOL_REPORT_STACK, &head, sizeof(head), frames, count * sizeof(*frames));
}

void report_build_module(struct report_build *build, uint32_t index, uint64_t base, const char *path)
{
    struct tagpool_report_module head = {.index = index, .base = base};
    report_build_item(build, TAGPOOL_REPORT_MODULE, &head, sizeof(head), path, strlen(path) + 1);
}

void report_build_bytes(struct report_build *build, uint64_t address, const void *bytes, uint32_t count)
{
    struct tagpool_report_bytes head = {.address = address, .count = count};
    report_build_item(build, TAGPOOL_REPORT_BYTES, &head, sizeof(head), bytes, count);
}

void report_build_leak(struct report_build *build, enum tagpool_report_leak_class leak_class, const char *tag,
                       const char *name, uint64_t blocks, uint64_t bytes)
{
    struct tagpool_report_leak leak = {.leak_class = leak_class, .blocks = blocks, .bytes = bytes};
    memcpy(&leak.tag, tag, sizeof(leak.tag));
    memcpy(leak.name, name, strnlen(name, sizeof(leak.name) - 1));
    report_build_item(build, TAGPOOL_REPORT_LEAK, &leak, sizeof(leak), NULL, 0);
}

int report_build_append(const struct report_build *build, const char *path)
{
    int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    ssize_t written = write(fd, build->bytes, build->size);
    close(fd);
    return written == (ssize_t)build->size ? 0 : -EIO;
}
