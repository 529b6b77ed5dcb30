/*
 * Reading of reports: whole ones, torn ones, hostile ones, in any pieces.
 */
#include "report_build.h"
#include "reportfile.h"

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static struct report_build build;
static struct reportfile_record record;
static unsigned char data[8 * TAGPOOL_REPORT_RECORD_MAX];
static size_t data_size;

static void setup(void)
{
    data_size = 0;
}

static void append(const void *bytes, size_t size)
{
    memcpy(data + data_size, bytes, size);
    data_size += size;
}

/* A leak of so many blocks, to tell records apart. */
static void append_leak(uint64_t blocks)
{
    report_build_init(&build, TAGPOOL_REPORT_LEAK_RECORD, 7, "prog");
    report_build_leak(&build, TAGPOOL_REPORT_LOST, "Conn", "", blocks, 100);
    append(build.bytes, build.size);
}

static uint64_t seen[64];
static size_t seen_count;

static void see(const struct reportfile_record *found, void *context)
{
    (void)context;
    ck_assert(reportfile_has(found, TAGPOOL_REPORT_LEAK));
    if (seen_count < 64)
        seen[seen_count++] = found->leak.blocks;
}

static void parse_all(bool is_last)
{
    bool is_found;
    size_t at = 0;
    seen_count = 0;
    do {
        at += reportfile_parse(data + at, data_size - at, is_last, &record, &is_found);
        ck_assert_uint_le(at, data_size);
        if (is_found)
            see(&record, NULL);
    } while (is_found);
}

static void build_stop(void)
{
    struct tagpool_report_frame frames[3] = {{.pc = 1, .offset = 0x10, .module = 5, .is_exact = 1},
                                             {.pc = 2, .offset = 0x20, .module = 9},
                                             {.pc = 3, .module = TAGPOOL_REPORT_NO_MODULE}};
    struct tagpool_report_block block = {.address = 0x1000, .size = 100, .offset = -4};
    report_build_init(&build, TAGPOOL_REPORT_STOP_RECORD, 42, "prog");
    report_build_stop(&build, REPORT_RULE_BEYOND_END_TOUCHED, 0xffc, TAGPOOL_REPORT_WRITE,
                      (const uint64_t[4]){0xffc, 1, 2, 3});
    report_build_block(&build, &block, "Conn", "connections");
    report_build_stack(&build, TAGPOOL_REPORT_STACK_HERE, frames, 3);
    report_build_stack(&build, TAGPOOL_REPORT_STACK_ALLOC, frames + 1, 1);
    report_build_item(&build, 77, "unknown", 7, NULL, 0);
    report_build_module(&build, 5, 0x400000, "/bin/prog");
    report_build_bytes(&build, 0xff0, "0123456789abcdef", 16);
}

START_TEST(test_all_of_a_stop)
{
    bool is_found;
    build_stop();
    ck_assert_uint_eq(reportfile_parse(build.bytes, build.size, false, &record, &is_found), build.size);
    ck_assert(is_found);
    ck_assert_uint_eq(record.head.pid, 42);
    ck_assert_str_eq(record.head.program, "prog");
    ck_assert_uint_eq(record.stop.code, 0xcd);
    ck_assert_int_eq(record.block.offset, -4);
    ck_assert_str_eq(record.block.name, "connections");
    ck_assert_uint_eq(record.stacks[TAGPOOL_REPORT_STACK_HERE].count, 3);
    ck_assert_uint_eq(record.stacks[TAGPOOL_REPORT_STACK_ALLOC].frames[0].pc, 2);
    ck_assert_uint_eq(record.stacks[TAGPOOL_REPORT_STACK_FREE].count, 0);
    ck_assert(!reportfile_has(&record, TAGPOOL_REPORT_LEAK));
    ck_assert_uint_eq(record.bytes_count, 1);
    ck_assert_mem_eq(record.bytes[0].bytes, "0123456789abcdef", 16);
}
END_TEST

START_TEST(test_frames_find_their_module)
{
    bool is_found;
    build_stop();
    reportfile_parse(build.bytes, build.size, false, &record, &is_found);
    const struct tagpool_report_frame *frames = record.stacks[TAGPOOL_REPORT_STACK_HERE].frames;
    ck_assert_str_eq(reportfile_module(&record, &frames[0])->path, "/bin/prog");
    ck_assert_ptr_null(reportfile_module(&record, &frames[1]));
    ck_assert_ptr_null(reportfile_module(&record, &frames[2]));
}
END_TEST

/* Where a stop was noticed: P the program, L a library, V and E our modules. */
static void build_stack(const char *modules)
{
    struct tagpool_report_frame frames[8];
    uint32_t count = (uint32_t)strlen(modules);
    for (uint32_t i = 0; i < count; i++)
        frames[i] = (struct tagpool_report_frame){.pc = i, .module = (uint32_t)modules[i]};
    report_build_init(&build, TAGPOOL_REPORT_STOP_RECORD, 42, "prog");
    report_build_stop(&build, REPORT_RULE_BEYOND_END_TOUCHED, 0xffc, TAGPOOL_REPORT_WRITE,
                      (const uint64_t[4]){0xffc, 1, 2, 0});
    report_build_stack(&build, TAGPOOL_REPORT_STACK_HERE, frames, count);
    report_build_stack(&build, TAGPOOL_REPORT_STACK_ALLOC, frames, count);
    report_build_module(&build, 'P', 0, "/bin/prog");
    report_build_module(&build, 'L', 0, "/lib/mylibtagpool-verify.so");
    report_build_module(&build, 'V', 0, "/some where/tagpool/libtagpool-verify.so");
    report_build_module(&build, 'E', 0, "/some where/tagpool/libtagpool-preload.so");
}

static void must_keep(const char *modules, const char *kept)
{
    bool is_found;
    build_stack(modules);
    reportfile_parse(build.bytes, build.size, false, &record, &is_found);
    const struct reportfile_stack *here = &record.stacks[TAGPOOL_REPORT_STACK_HERE];
    ck_assert_uint_eq(here->count, strlen(kept));
    for (uint32_t i = 0; i < here->count; i++)
        ck_assert_int_eq((char)here->frames[i].module, kept[i]);
    ck_assert_uint_eq(record.stacks[TAGPOOL_REPORT_STACK_ALLOC].count, strlen(modules));
}

START_TEST(test_frames_of_ours_are_not_where_it_was)
{
    must_keep("PLP", "PLP");
    must_keep("VPLP", "PLP");
    must_keep("EVPP", "PP");
    must_keep("LVPEP", "LPEP");
    must_keep("VE", "VE");
    must_keep("", "");
}
END_TEST

/* A library that was built before there was a size. */
START_TEST(test_a_stop_may_lack_its_size)
{
    bool is_found;
    const struct tagpool_report_stop stop = {.code = 0xcd, .thread = 5, .size = 7};
    report_build_init(&build, TAGPOOL_REPORT_STOP_RECORD, 42, "prog");
    report_build_item(&build, TAGPOOL_REPORT_STOP, &stop, sizeof(stop) - sizeof(stop.size), NULL, 0);
    reportfile_parse(build.bytes, build.size, true, &record, &is_found);
    ck_assert(is_found && record.stop.thread == 5 && record.stop.size == 0);
}
END_TEST

START_TEST(test_a_record_is_waited_for)
{
    bool is_found;
    build_stop();
    for (size_t size = 0; size < build.size; size++) {
        ck_assert_uint_eq(reportfile_parse(build.bytes, size, false, &record, &is_found), 0);
        ck_assert(!is_found);
        ck_assert_uint_eq(reportfile_parse(build.bytes, size, true, &record, &is_found), size);
        ck_assert(!is_found);
    }
}
END_TEST

START_TEST(test_rubbish_is_passed_over)
{
    append("rubbish", 7);
    append_leak(1);
    append("TGP", 3);
    append_leak(2);
    append("TGPR\0\0\0\0", 8);
    append_leak(3);
    append("T", 1);
    parse_all(true);
    ck_assert_uint_eq(seen_count, 3);
    ck_assert(seen[0] == 1 && seen[1] == 2 && seen[2] == 3);
}
END_TEST

/* Cut at every length: the records behind it are found, and no half of it is taken for a whole one. */
START_TEST(test_a_torn_record_costs_itself)
{
    build_stop();
    struct report_build torn = build;
    for (size_t cut = 1; cut < torn.size; cut++) {
        data_size = 0;
        append_leak(1);
        append(torn.bytes, cut);
        for (uint64_t i = 2; i < 10; i++)
            append_leak(i);
        parse_all(true);
        ck_assert_msg(seen_count == 9 && seen[8] == 9, "cut at %zu: %zu", cut, seen_count);
    }
}
END_TEST

START_TEST(test_lengths_that_lie)
{
    static const uint32_t sizes[] = {0, 8, 95, 97, 104, 65536, 65544, UINT32_MAX - 7, UINT32_MAX};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        build_stop();
        build.head.size = sizes[i];
        data_size = 0;
        append(build.bytes, build.size);
        append_leak(1);
        append_leak(2);
        parse_all(true);
        ck_assert_msg(seen_count >= 1 && seen[seen_count - 1] == 2, "%u", sizes[i]);
    }
}
END_TEST

START_TEST(test_items_that_lie)
{
    bool is_found;
    build_stop();
    struct report_build honest = build;
    for (size_t at = sizeof(build.head); at + 4 <= honest.size; at += 4) {
        static const uint32_t numbers[] = {0, 1, 3, 7, 65, 4096, INT32_MAX, UINT32_MAX - 7, UINT32_MAX};
        for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
            build = honest;
            memcpy(build.bytes + at, &numbers[i], 4);
            reportfile_parse(build.bytes, build.size, true, &record, &is_found);
            for (int role = 0; role < REPORTFILE_ROLES; role++)
                ck_assert_uint_le(record.stacks[role].count, TAGPOOL_REPORT_FRAMES);
        }
    }
}
END_TEST

START_TEST(test_more_modules_than_frames_are_cut)
{
    bool is_found;
    report_build_init(&build, TAGPOOL_REPORT_LEAK_RECORD, 7, "prog");
    for (uint32_t i = 0; i < 2000; i++)
        report_build_module(&build, i, 0, "x");
    reportfile_parse(build.bytes, build.size, true, &record, &is_found);
    ck_assert(is_found);
    ck_assert_uint_eq(record.module_count, REPORTFILE_MODULES);
}
END_TEST

/* ---- the file ---- */

/* As the reader has it: with a position of its own. */
static int open_again(int fd)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    return fd;
}

static int make_file(void)
{
    int fd = memfd_create("reports", MFD_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    return fd;
}

static void put(int fd, const void *bytes, size_t size)
{
    ck_assert_int_eq(write(fd, bytes, size), (ssize_t)size);
}

START_TEST(test_a_file_grows_by_pieces)
{
    struct reportfile file;
    int fd = make_file();
    reportfile_init(&file, open_again(fd));
    for (uint64_t i = 1; i <= 40; i++)
        append_leak(i);
    seen_count = 0;
    for (size_t at = 0; at < data_size; at += 7) {
        put(fd, data + at, at + 7 < data_size ? 7 : data_size - at);
        reportfile_read(&file, false, see, NULL);
    }
    reportfile_read(&file, true, see, NULL);
    ck_assert_uint_eq(seen_count, 40);
    ck_assert_uint_eq(seen[39], 40);
    reportfile_fini(&file);
    close(fd);
}
END_TEST

START_TEST(test_holes_and_cut_off_files)
{
    struct reportfile file;
    int fd = make_file();
    reportfile_init(&file, open_again(fd));
    seen_count = 0;
    append_leak(1);
    put(fd, data, data_size);
    ck_assert_int_eq(ftruncate(fd, (off_t)1 << 50), 0);
    ck_assert_int_gt(lseek(fd, 0, SEEK_END), 0);
    put(fd, data, data_size);
    reportfile_read(&file, false, see, NULL);
    ck_assert_uint_eq(seen_count, 2);
    ck_assert_int_eq(ftruncate(fd, 0), 0);
    reportfile_read(&file, true, see, NULL);
    ck_assert_uint_eq(seen_count, 2);
    reportfile_fini(&file);
    close(fd);
}
END_TEST

START_TEST(test_a_large_file)
{
    struct reportfile file;
    int fd = make_file();
    report_build_init(&build, TAGPOOL_REPORT_LEAK_RECORD, 7, "prog");
    report_build_leak(&build, TAGPOOL_REPORT_LOST, "Conn", "", 5, 100);
    report_build_item(&build, 99, data, 65000, NULL, 0);
    for (int i = 0; i < 50; i++)
        put(fd, build.bytes, build.size);
    reportfile_init(&file, fd);
    seen_count = 0;
    reportfile_read(&file, true, see, NULL);
    ck_assert_uint_eq(seen_count, 50);
    reportfile_fini(&file);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("reportfile");
    TCase *group = tcase_create("reportfile");
    tcase_add_checked_fixture(group, setup, NULL);
    tcase_set_timeout(group, 30);
    tcase_add_test(group, test_all_of_a_stop);
    tcase_add_test(group, test_frames_find_their_module);
    tcase_add_test(group, test_frames_of_ours_are_not_where_it_was);
    tcase_add_test(group, test_a_stop_may_lack_its_size);
    tcase_add_test(group, test_a_record_is_waited_for);
    tcase_add_test(group, test_rubbish_is_passed_over);
    tcase_add_test(group, test_a_torn_record_costs_itself);
    tcase_add_test(group, test_lengths_that_lie);
    tcase_add_test(group, test_items_that_lie);
    tcase_add_test(group, test_more_modules_than_frames_are_cut);
    tcase_add_test(group, test_a_file_grows_by_pieces);
    tcase_add_test(group, test_holes_and_cut_off_files);
    tcase_add_test(group, test_a_large_file);
    suite_add_tcase(suite, group);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
