/*
 * Records of reports made by hand, for tests of their readers.
 */
#ifndef REPORT_BUILD_H
#define REPORT_BUILD_H

#include <stddef.h>
#include <stdint.h>
#include <tagpool/report.h>
#include <tagpool/rules.h>

struct report_build {
    union {
        struct tagpool_report_record head;
        unsigned char bytes[2 * TAGPOOL_REPORT_RECORD_MAX];
    };
    size_t size;
};

/* An empty record; each item makes it longer. */
void report_build_init(struct report_build *build, enum tagpool_report_kind kind, uint32_t pid, const char *program);

/* An item of two parts, of which either may be empty. */
void report_build_item(struct report_build *build, uint32_t type, const void *first, size_t first_size,
                       const void *second, size_t second_size);

/* `row` of the table of rules, counted from 1; its constant parameter is filled in. */
void report_build_stop(struct report_build *build, uint32_t row, uint64_t address, enum tagpool_report_access access,
                       const uint64_t parameters[4]);
void report_build_block(struct report_build *build, const struct tagpool_report_block *block, const char *tag,
                        const char *name);
void report_build_stack(struct report_build *build, enum tagpool_report_stack_role role,
                        const struct tagpool_report_frame *frames, uint32_t count);
void report_build_module(struct report_build *build, uint32_t index, uint64_t base, const char *path);
void report_build_bytes(struct report_build *build, uint64_t address, const void *bytes, uint32_t count);
void report_build_leak(struct report_build *build, enum tagpool_report_leak_class leak_class, const char *tag,
                       const char *name, uint64_t blocks, uint64_t bytes);

/* Append it to a file by one write, as programs do: 0 or -errno. */
int report_build_append(const struct report_build *build, const char *path);

/* The row of a rule, for its name in capitals: REPORT_RULE_BEYOND_END_TOUCHED. */
enum report_rule {
    REPORT_RULE_NONE,
#define X(name, ...) REPORT_RULE_##name,
    TAGPOOL_RULES(X)
#undef X
        REPORT_RULE_COUNT,
};

#endif
