/*
 * A program that says of itself what a verified one would: appends records to $TAGPOOL_REPORT.
 *
 *   report_maker WORD...
 *
 * Each word is a scenario of the table below, or how to go on: exit=STATUS, kill=SIGNAL, sleep=MS, module=PATH (that
 * frames lie in, from then on).  Addresses of blocks are invented, so that outputs can be compared; those of frames are
 * real, so that they can be found.
 */
#include "report_build.h"

#include <execinfo.h>
#include <link.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BLOCK_ADDRESS UINT64_C(0x7f31a2b3ef90)

static struct report_build build;
static char module_path[4096];
static uintptr_t module_base;

extern char __executable_start, etext; /* of the linker */

static int maker_find_base(struct dl_phdr_info *info, size_t size, void *context)
{
    (void)size;
    *(uintptr_t *)context = info->dlpi_addr;
    return 1; /* the first one is the program */
}

/* A stack from the caller on. */
static __attribute__((noinline)) void maker_add_stack(enum tagpool_report_stack_role role)
{
    void *pcs[16];
    struct tagpool_report_frame frames[16];
    int count = backtrace(pcs, 16);
    for (int i = 1; i < count; i++) {
        uintptr_t pc = (uintptr_t)pcs[i];
        int is_own = pc >= (uintptr_t)&__executable_start && pc < (uintptr_t)&etext;
        frames[i - 1] = (struct tagpool_report_frame){.pc = pc, .module = TAGPOOL_REPORT_NO_MODULE};
        if (is_own) {
            frames[i - 1].offset = pc - module_base;
            frames[i - 1].module = 3;
        }
    }
    report_build_stack(&build, role, frames, (uint32_t)count - 1);
}

static void maker_finish(void)
{
    const char *path = getenv("TAGPOOL_REPORT");
    report_build_module(&build, 3, module_base, module_path);
    if (path == NULL || report_build_append(&build, path) != 0)
        fprintf(stderr, "report_maker: nobody listens\n");
}

/* Three functions to be found again. */
__attribute__((noinline)) void conn_make(void);
__attribute__((noinline)) void conn_make(void)
{
    maker_add_stack(TAGPOOL_REPORT_STACK_ALLOC);
}

__attribute__((noinline)) void conn_close(void);
__attribute__((noinline)) void conn_close(void)
{
    maker_add_stack(TAGPOOL_REPORT_STACK_FREE);
}

__attribute__((noinline)) void conn_fill(void);
__attribute__((noinline)) void conn_fill(void)
{
    maker_add_stack(TAGPOOL_REPORT_STACK_HERE);
}

static void maker_begin(enum tagpool_report_kind kind)
{
    report_build_init(&build, kind, (uint32_t)getpid(), "maker");
}

static void make_stop(void)
{
    static const struct tagpool_report_block block = {.address = BLOCK_ADDRESS,
                                                      .size = 100,
                                                      .offset = 100,
                                                      .kind = 1,
                                                      .keeper = TAGPOOL_REPORT_SPECIAL,
                                                      .state = TAGPOOL_REPORT_LIVE,
                                                      .face = TAGPOOL_REPORT_MALLOC,
                                                      .alloc_thread = 1234};
    maker_begin(TAGPOOL_REPORT_STOP_RECORD);
    report_build_stop(&build, REPORT_RULE_BEYOND_END_TOUCHED, BLOCK_ADDRESS + 100, TAGPOOL_REPORT_WRITE,
                      (const uint64_t[4]){BLOCK_ADDRESS + 100, 1, 0x55d0c0a01189, 0});
    report_build_block(&build, &block, "Conn", "prog");
    conn_fill();
    conn_make();
    report_build_bytes(&build, BLOCK_ADDRESS + 68, "AAAAAAAAAAAAAAAAAAAA some text \\\n", 32);
    maker_finish();
}

static void make_changed(void)
{
    static const struct tagpool_report_block block = {.address = BLOCK_ADDRESS,
                                                      .size = 1,
                                                      .offset = 0,
                                                      .keeper = TAGPOOL_REPORT_WATCHED,
                                                      .state = TAGPOOL_REPORT_LIVE,
                                                      .face = TAGPOOL_REPORT_API};
    maker_begin(TAGPOOL_REPORT_STOP_RECORD);
    report_build_stop(&build, REPORT_RULE_SPECIAL_OVERRUN_FOUND, BLOCK_ADDRESS, TAGPOOL_REPORT_NO_ACCESS,
                      (const uint64_t[4]){BLOCK_ADDRESS, BLOCK_ADDRESS + 3, 0, 0});
    report_build_block(&build, &block, "Tiny", "");
    conn_close();
    report_build_bytes(&build, BLOCK_ADDRESS, "\1\xfd\xfd\0\xfd\xfd\xfd\xfd", 8);
    maker_finish();
}

/* By a function that was told how much. */
static void make_copied(void)
{
    const struct tagpool_report_stop stop = {.rule = REPORT_RULE_BEYOND_END_TOUCHED,
                                             .code = 0xCD,
                                             .parameters = {BLOCK_ADDRESS + 32, 1, 0x55d0c0a01189, 0},
                                             .address = BLOCK_ADDRESS + 32,
                                             .access = TAGPOOL_REPORT_WRITE,
                                             .thread = 1234,
                                             .size = 33};
    static const struct tagpool_report_block block = {.address = BLOCK_ADDRESS, .size = 32, .offset = 32};
    maker_begin(TAGPOOL_REPORT_STOP_RECORD);
    report_build_item(&build, TAGPOOL_REPORT_STOP, &stop, sizeof(stop), NULL, 0);
    report_build_block(&build, &block, "Conn", "");
    conn_fill();
    maker_finish();
}

static void make_freed(void)
{
    static const struct tagpool_report_block block = {.address = BLOCK_ADDRESS,
                                                      .size = 24,
                                                      .offset = -4,
                                                      .kind = 1,
                                                      .keeper = TAGPOOL_REPORT_SPECIAL,
                                                      .state = TAGPOOL_REPORT_FREED,
                                                      .face = TAGPOOL_REPORT_NEW_ARRAY,
                                                      .alloc_thread = 1234,
                                                      .free_thread = 1235};
    maker_begin(TAGPOOL_REPORT_STOP_RECORD);
    report_build_stop(&build, REPORT_RULE_FREED_POOL_TOUCHED, BLOCK_ADDRESS - 4, TAGPOOL_REPORT_READ,
                      (const uint64_t[4]){BLOCK_ADDRESS - 4, 0, 0x55d0c0a01189, 0});
    report_build_block(&build, &block, "Conn", "");
    conn_fill();
    conn_make();
    conn_close();
    maker_finish();
}

static void make_face(void)
{
    uint32_t malloced, freed;
    memcpy(&malloced, "MALL", 4);
    memcpy(&freed, "NEW[", 4);
    maker_begin(TAGPOOL_REPORT_STOP_RECORD);
    report_build_stop(&build, REPORT_RULE_CALLER_WRONG_FACE, BLOCK_ADDRESS, TAGPOOL_REPORT_NO_ACCESS,
                      (const uint64_t[4]){0, BLOCK_ADDRESS, malloced, freed});
    conn_fill();
    maker_finish();
}

static void make_middle(void)
{
    maker_begin(TAGPOOL_REPORT_STOP_RECORD);
    report_build_stop(&build, REPORT_RULE_CALLER_MIDDLE, BLOCK_ADDRESS + 8, TAGPOOL_REPORT_NO_ACCESS,
                      (const uint64_t[4]){0, BLOCK_ADDRESS + 8, BLOCK_ADDRESS, 8});
    maker_finish();
}

static void make_newer(void)
{
    const struct tagpool_report_stop stop = {.rule = 999, .code = 0x77, .parameters = {1, 2, 3, 4}};
    maker_begin(TAGPOOL_REPORT_STOP_RECORD);
    report_build_item(&build, TAGPOOL_REPORT_STOP, &stop, sizeof(stop), NULL, 0);
    maker_finish();
}

static void make_rude(void)
{
    static const struct tagpool_report_block block = {
        .address = BLOCK_ADDRESS, .size = UINT64_MAX, .offset = INT64_MIN};
    report_build_init(&build, TAGPOOL_REPORT_STOP_RECORD, (uint32_t)getpid(), "ma\033[2Jker\"\xff");
    report_build_stop(&build, REPORT_RULE_BEYOND_END_TOUCHED, UINT64_MAX, (enum tagpool_report_access)77,
                      (const uint64_t[4]){UINT64_MAX, 1, 2, 3});
    report_build_block(&build, &block, "\1\2\"\x80", "\033]0;title\a");
    report_build_bytes(&build, UINT64_MAX - 3, "12345678", 8);
    conn_make();
    maker_finish();
}

static void make_leak(enum tagpool_report_leak_class leak_class, const char *tag, uint64_t blocks, uint64_t bytes)
{
    maker_begin(TAGPOOL_REPORT_LEAK_RECORD);
    report_build_leak(&build, leak_class, tag, "", blocks, bytes);
    conn_make();
    maker_finish();
}

static void make_leaks(void)
{
    make_leak(TAGPOOL_REPORT_REACHABLE, "Glob", 7, 7000);
    make_leak(TAGPOOL_REPORT_LOST, "One ", 1, 1);
    make_leak(TAGPOOL_REPORT_POSSIBLY_LOST, "Perh", 2, 4096);
    make_leak(TAGPOOL_REPORT_LOST, "Conn", 3, 120);
    make_leak(TAGPOOL_REPORT_REACHABLE, "Glo2", 1, 24);
}

static void make_reachable(void)
{
    make_leak(TAGPOOL_REPORT_REACHABLE, "Glob", 1, 7000);
    make_leak(TAGPOOL_REPORT_POSSIBLY_LOST, "Perh", 2, 4096);
}

static void make_faults(void)
{
    static const uint64_t hashes[] = {1, 2, 1, 1};
    for (size_t i = 0; i < sizeof(hashes) / sizeof(hashes[0]); i++) {
        struct tagpool_report_fault fault = {.stack_hash = hashes[i], .size = 100 * hashes[i]};
        memcpy(&fault.tag, "Conn", sizeof(fault.tag));
        maker_begin(TAGPOOL_REPORT_FAULT_RECORD);
        report_build_item(&build, TAGPOOL_REPORT_FAULT, &fault, sizeof(fault), NULL, 0);
        conn_fill();
        maker_finish();
    }
}

static void make_end(void)
{
    const struct tagpool_report_counters counters = {.allocs_attempted = 1000,
                                                     .allocs_succeeded = 996,
                                                     .allocs_special = 900,
                                                     .special_refused = 100,
                                                     .faults_injected = 4};
    maker_begin(TAGPOOL_REPORT_END_RECORD);
    report_build_item(&build, TAGPOOL_REPORT_COUNTERS, &counters, sizeof(counters), NULL, 0);
    maker_finish();
}

/* As when the file system is full. */
static void make_torn(void)
{
    maker_begin(TAGPOOL_REPORT_STOP_RECORD);
    report_build_bytes(&build, 0, "12345678", 8);
    build.size -= 12;
    report_build_append(&build, getenv("TAGPOOL_REPORT"));
}

static const struct {
    const char *word;
    void (*make)(void);
} maker_scenarios[] = {
    {"stop", make_stop},   {"changed", make_changed},     {"copied", make_copied}, {"freed", make_freed},
    {"face", make_face},   {"middle", make_middle},       {"newer", make_newer},   {"rude", make_rude},
    {"leaks", make_leaks}, {"reachable", make_reachable}, {"faults", make_faults}, {"end", make_end},
    {"torn", make_torn},
};

static void maker_do(const char *word)
{
    const char *value = strchr(word, '=');
    if (value == NULL) {
        for (size_t i = 0; i < sizeof(maker_scenarios) / sizeof(maker_scenarios[0]); i++)
            if (strcmp(maker_scenarios[i].word, word) == 0)
                maker_scenarios[i].make();
        return;
    }
    value++;
    if (strncmp(word, "module=", 7) == 0)
        snprintf(module_path, sizeof(module_path), "%s", value);
    else if (strncmp(word, "exit=", 5) == 0)
        exit(atoi(value));
    else if (strncmp(word, "kill=", 5) == 0)
        raise(atoi(value));
    else if (strncmp(word, "sleep=", 6) == 0)
        usleep((useconds_t)atoi(value) * 1000);
}

int main(int argc, char **argv)
{
    dl_iterate_phdr(maker_find_base, &module_base);
    if (readlink("/proc/self/exe", module_path, sizeof(module_path) - 1) <= 0)
        return 99;
    for (int i = 1; i < argc; i++)
        maker_do(argv[i]);
    return 0;
}
