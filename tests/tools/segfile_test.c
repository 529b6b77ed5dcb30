/*
 * Files of strangers: cut off while we read, links, pipes, other users', holes.
 */
#include "process.h"
#include "segfile.h"
#include "segment_build.h"

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static char directory[64];
static int directory_fd;
static struct segment_build build;
static char *path; /* of the segment that was written last */

/* In /dev/shm where there is one: it is a tmpfs, as in real life. */
static void setup(void)
{
    strcpy(directory, "/dev/shm/segfile_test.XXXXXX");
    if (mkdtemp(directory) == NULL) {
        strcpy(directory, "/tmp/segfile_test.XXXXXX");
        ck_assert_ptr_nonnull(mkdtemp(directory));
    }
    directory_fd = open(directory, O_RDONLY | O_DIRECTORY);
    ck_assert_int_ge(directory_fd, 0);
    setenv("TAGPOOL_SEGMENT_DIR", directory, 1);
    segment_build_init(&build, 64, 64, 4096);
    segment_build_slot(&build, 1, "Tag0", TAGPOOL_SEGMENT_API, "");
    segment_build_row(&build, 4000, 1, 0, 0, 5, 2);
}

static struct process_list list;

static void teardown(void)
{
    process_list_free(&list);
    DIR *entries = opendir(directory);
    for (struct dirent *entry; (entry = readdir(entries)) != NULL;)
        unlinkat(directory_fd, entry->d_name, 0);
    closedir(entries);
    rmdir(directory);
    close(directory_fd);
    segment_build_free(&build);
    free(path);
}

/* Write the segment under its own name; the last part of the path. */
static const char *write_segment(void)
{
    free(path);
    ck_assert_int_eq(segment_build_write(&build, directory, &path), 0);
    return strrchr(path, '/') + 1;
}

/* The same as a living program of this process. */
static const char *publish_segment(void)
{
    const char *name = write_segment();
    ck_assert_ptr_nonnull(segment_build_map(path));
    return name;
}

static int count_files(void)
{
    int count = 0;
    DIR *entries = opendir(directory);
    for (struct dirent *entry; (entry = readdir(entries)) != NULL;)
        count += strncmp(entry->d_name, "tagpool.", 8) == 0;
    closedir(entries);
    return count;
}

/* ---- segfile ---- */

START_TEST(test_reading)
{
    struct segfile file;
    struct segfile_reading reading;
    ck_assert_int_eq(segfile_open(&file, directory_fd, write_segment()), 0);
    ck_assert_int_eq(segfile_read(&file, &reading), 0);
    ck_assert_uint_eq(reading.count, 2);
    ck_assert_uint_eq(reading.sums[1].allocs, 5);
    ck_assert_uint_eq(reading.sums[1].frees, 2);
    segfile_reading_free(&reading);
    segfile_close(&file);
}
END_TEST

/* Some requests are counted once for two numbers: readers see both. */
START_TEST(test_numbers_of_the_verifier_are_whole)
{
    struct segfile file;
    struct tagpool_segment_verifier sums;
    build.header->verifier[0] =
        (struct tagpool_segment_verifier){.succeeded_total = 5, .watched_total = 2, .settled_total = 100};
    build.header->verifier[1] = (struct tagpool_segment_verifier){.succeeded_total = 3, .settled_total = 10};
    ck_assert_int_eq(segfile_open(&file, directory_fd, write_segment()), 0);
    ck_assert_int_eq(segfile_read_verifier(&file, &sums), 0);
    ck_assert_uint_eq(sums.succeeded_total, 118);
    ck_assert_uint_eq(sums.watched_total, 112);
    segfile_close(&file);
}
END_TEST

START_TEST(test_a_file_cut_off_while_reading_is_an_error)
{
    struct segfile file;
    struct segfile_reading reading;
    const char *name = write_segment();
    ck_assert_int_eq(segfile_open(&file, directory_fd, name), 0);
    int fd = openat(directory_fd, name, O_RDWR);
    ck_assert_int_eq(ftruncate(fd, 8192), 0);
    ck_assert_int_eq(segfile_read(&file, &reading), -EFAULT);
    segfile_reading_free(&reading);
    ck_assert_int_eq(ftruncate(fd, 0), 0);
    ck_assert_int_eq(segfile_read(&file, &reading), -EFAULT);
    segfile_reading_free(&reading);
    segfile_close(&file);
    close(fd);
}
END_TEST

START_TEST(test_short_files_are_refused)
{
    static const off_t sizes[] = {0, 1, 4096, 8192, 12288};
    struct segfile file;
    const char *name = write_segment();
    for (size_t i = sizeof(sizes) / sizeof(sizes[0]); i-- > 0;) {
        int fd = openat(directory_fd, name, O_RDWR);
        ck_assert_int_eq(ftruncate(fd, sizes[i]), 0);
        close(fd);
        ck_assert_int_ne(segfile_open(&file, directory_fd, name), 0);
    }
}
END_TEST

START_TEST(test_links_pipes_and_directories_are_refused)
{
    struct segfile file;
    ck_assert_int_eq(symlinkat(write_segment(), directory_fd, "link"), 0);
    ck_assert_int_eq(mkfifoat(directory_fd, "pipe", 0600), 0);
    ck_assert_int_eq(segfile_open(&file, directory_fd, "link"), -ELOOP);
    ck_assert_int_eq(segfile_open(&file, directory_fd, "pipe"), -ENODEV); /* and without waiting for a writer */
    ck_assert_int_eq(segfile_open(&file, directory_fd, "."), -ENODEV);
    ck_assert_int_eq(segfile_open(&file, directory_fd, "nothing"), -ENOENT);
}
END_TEST

START_TEST(test_files_of_other_users_are_refused)
{
    struct segfile file;
    const char *name = write_segment();
    if (geteuid() != 0)
        return; /* only root can make itself somebody else */
    ck_assert_int_eq(fchmodat(directory_fd, name, 0666, 0), 0);
    ck_assert_int_eq(fchmod(directory_fd, 0755), 0);
    ck_assert_int_eq(seteuid(12345), 0);
    ck_assert_int_eq(segfile_open(&file, directory_fd, name), -EPERM);
    ck_assert_int_eq(seteuid(0), 0);
    ck_assert_int_eq(segfile_open(&file, directory_fd, name), 0);
    segfile_close(&file);
}
END_TEST

START_TEST(test_reading_fills_no_holes)
{
    struct segfile file;
    struct segfile_reading reading;
    struct stat before, after;
    const char *name = write_segment();
    ck_assert_int_eq(fstatat(directory_fd, name, &before, 0), 0);
    ck_assert_int_eq(segfile_open(&file, directory_fd, name), 0);
    ck_assert_int_eq(segfile_read(&file, &reading), 0);
    ck_assert_uint_eq(reading.sums[1].allocs, 5);
    ck_assert_int_eq(fstatat(directory_fd, name, &after, 0), 0);
    ck_assert_int_lt(before.st_blocks * 512, before.st_size); /* there are holes */
    ck_assert_int_eq(before.st_blocks, after.st_blocks);
    segfile_reading_free(&reading);
    segfile_close(&file);
}
END_TEST

/* ---- process ---- */

static void find(pid_t pid, size_t expected)
{
    process_list_free(&list);
    ck_assert_int_eq(process_find(&list, pid), 0);
    ck_assert_uint_eq(list.count, expected);
}

START_TEST(test_own_process_is_found)
{
    publish_segment();
    find(0, 1);
    ck_assert_int_eq(list.items[0].pid, getpid());
    find(getpid(), 1);
    find(getppid(), 0);
    ck_assert_int_eq(count_files(), 1);
}
END_TEST

START_TEST(test_a_process_that_executed_another_program_is_not_the_one)
{
    build.header->state = TAGPOOL_SEGMENT_ENDED;
    write_segment(); /* our PID, but we do not map it */
    find(0, 0);
    ck_assert_int_eq(count_files(), 0);
}
END_TEST

START_TEST(test_a_process_that_started_later_is_another_one)
{
    build.header->created_ns = 1;
    publish_segment();
    find(0, 0);
}
END_TEST

/* As when its process lives in a PID namespace that we do not see. */
START_TEST(test_a_file_in_use_is_left_alone)
{
    segment_build_identify(&build, 1 << 30, "unseen");
    build.header->state = TAGPOOL_SEGMENT_ENDED;
    publish_segment();
    find(0, 0);
    ck_assert_int_eq(count_files(), 1);
}
END_TEST

/* A PID that was in use a moment ago and is not now. */
static pid_t dead_pid(void)
{
    pid_t pid = fork();
    if (pid == 0)
        _exit(0);
    waitpid(pid, NULL, 0);
    return pid;
}

START_TEST(test_only_the_newest_killed_ones_are_kept)
{
    char newest[64] = "";
    for (int i = 0; i < PROCESS_KEEP_KILLED + 3; i++) {
        segment_build_identify(&build, dead_pid(), "killed");
        const char *name = write_segment();
        struct timespec times[2] = {{1000000 + i, 0}, {1000000 + i, 0}};
        utimensat(directory_fd, name, times, 0);
        strcpy(newest, name);
    }
    segment_build_identify(&build, dead_pid(), "ended");
    build.header->state = TAGPOOL_SEGMENT_ENDED;
    write_segment();
    find(0, 0);
    ck_assert_int_eq(count_files(), PROCESS_KEEP_KILLED);
    ck_assert_int_eq(faccessat(directory_fd, newest, F_OK, 0), 0);
}
END_TEST

START_TEST(test_the_later_file_of_a_process_counts)
{
    struct timespec old[2] = {{1000000, 0}, {1000000, 0}};
    const char *name = publish_segment();
    char second[128];
    snprintf(second, sizeof(second), "%s.99", name);
    ck_assert_int_eq(renameat(directory_fd, name, directory_fd, second), 0);
    utimensat(directory_fd, second, old, 0);
    build.header->nonce = 77;
    publish_segment();
    find(0, 1);
    ck_assert_uint_eq(list.items[0].file.header.nonce, 77);
}
END_TEST

START_TEST(test_files_that_are_not_ours_to_judge)
{
    close(openat(directory_fd, "tagpool.0.1x", O_CREAT | O_WRONLY, 0600));
    close(openat(directory_fd, "tagpool.0", O_CREAT | O_WRONLY, 0600));
    close(openat(directory_fd, "other", O_CREAT | O_WRONLY, 0600));
    find(0, 0);
    ck_assert_uint_eq(list.problem_count, 0);
    close(openat(directory_fd, "tagpool.0.1", O_CREAT | O_WRONLY, 0600));
    find(0, 0);
    ck_assert_uint_eq(list.problem_count, 1);
    ck_assert_int_eq(list.problems[0].pid, 1);
}
END_TEST

START_TEST(test_a_missing_directory_is_an_error)
{
    setenv("TAGPOOL_SEGMENT_DIR", "/nowhere", 1);
    ck_assert_int_eq(process_find(&list, 0), -ENOENT);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("segfile");
    TCase *group = tcase_create("segfile");
    tcase_add_checked_fixture(group, setup, teardown);
    tcase_set_timeout(group, 30);
    tcase_add_test(group, test_reading);
    tcase_add_test(group, test_numbers_of_the_verifier_are_whole);
    tcase_add_test(group, test_a_file_cut_off_while_reading_is_an_error);
    tcase_add_test(group, test_short_files_are_refused);
    tcase_add_test(group, test_links_pipes_and_directories_are_refused);
    tcase_add_test(group, test_files_of_other_users_are_refused);
    tcase_add_test(group, test_reading_fills_no_holes);
    tcase_add_test(group, test_own_process_is_found);
    tcase_add_test(group, test_a_process_that_started_later_is_another_one);
    tcase_add_test(group, test_a_process_that_executed_another_program_is_not_the_one);
    tcase_add_test(group, test_a_file_in_use_is_left_alone);
    tcase_add_test(group, test_only_the_newest_killed_ones_are_kept);
    tcase_add_test(group, test_the_later_file_of_a_process_counts);
    tcase_add_test(group, test_files_that_are_not_ours_to_judge);
    tcase_add_test(group, test_a_missing_directory_is_an_error);
    suite_add_tcase(suite, group);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
