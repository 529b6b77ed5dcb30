/*
 * What `run` can run and what it refuses, with files made from this test's own program.
 */
#include "elf_check.h"
#include "report.h"

#include <check.h>
#include <elf.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char directory[64], path[PATH_MAX], found[PATH_MAX], why[ELF_CHECK_TEXT];
static unsigned char *image;
static size_t image_size;

static void setup(void)
{
    strcpy(directory, "/tmp/elf_check_test.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    snprintf(path, sizeof(path), "%s/program", directory);
    FILE *self = fopen("/proc/self/exe", "re");
    fseek(self, 0, SEEK_END);
    image_size = (size_t)ftell(self);
    image = malloc(image_size);
    rewind(self);
    ck_assert_uint_eq(fread(image, 1, image_size, self), image_size);
    fclose(self);
}

static void teardown(void)
{
    unlink(path);
    rmdir(directory);
    free(image);
}

static void write_file(const void *bytes, size_t size, mode_t mode)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0700);
    ck_assert_int_eq(write(fd, bytes, size), (ssize_t)size);
    ck_assert_int_eq(fchmod(fd, mode), 0);
    close(fd);
}

static void assert_check(int status, const char *words)
{
    why[0] = '\0';
    ck_assert_int_eq(elf_check_program(path, why), status);
    ck_assert_msg(strstr(why, words) != NULL, "'%s' is not in: %s", words, why);
}

static void assert_image(int status, const char *words)
{
    write_file(image, image_size, 0700);
    assert_check(status, words);
}

static void assert_script(const char *text, int status, const char *words)
{
    write_file(text, strlen(text), 0700);
    assert_check(status, words);
}

static Elf64_Ehdr *image_header(void)
{
    return (Elf64_Ehdr *)(void *)image;
}

static Elf64_Phdr *image_interpreter(void)
{
    Elf64_Phdr *parts = (Elf64_Phdr *)(void *)(image + image_header()->e_phoff);
    while (parts->p_type != PT_INTERP)
        parts++;
    return parts;
}

START_TEST(test_dynamic_program_is_taken)
{
    assert_image(0, "");
}
END_TEST

START_TEST(test_static_program_is_refused)
{
    image_interpreter()->p_type = PT_NULL;
    assert_image(STATUS_CANNOT_RUN, "statically linked");
}
END_TEST

START_TEST(test_other_machine_is_refused)
{
    image_header()->e_machine = image_header()->e_machine == EM_AARCH64 ? EM_X86_64 : EM_AARCH64;
    assert_image(STATUS_CANNOT_RUN, "machines");
}
END_TEST

START_TEST(test_other_class_is_refused)
{
    image_header()->e_ident[EI_CLASS] = ELFCLASS32;
    assert_image(STATUS_CANNOT_RUN, "32-bit");
}
END_TEST

START_TEST(test_other_c_library_is_refused)
{
    strcpy((char *)image + image_interpreter()->p_offset, "/lib/ld-musl-x86.so");
    assert_image(STATUS_CANNOT_RUN, "another C library");
}
END_TEST

START_TEST(test_object_file_is_refused)
{
    image_header()->e_type = ET_REL;
    assert_image(STATUS_CANNOT_RUN, "no program");
}
END_TEST

START_TEST(test_damaged_headers_are_refused)
{
    image_header()->e_phoff = UINT64_MAX - 100;
    assert_image(STATUS_CANNOT_RUN, "damaged");
    image_header()->e_phentsize = 0;
    assert_image(STATUS_CANNOT_RUN, "damaged");
    image_size = 30;
    assert_image(STATUS_CANNOT_RUN, "damaged");
}
END_TEST

START_TEST(test_set_user_id_is_refused_for_others)
{
    write_file(image, image_size, 04755);
    assert_check(0, ""); /* our own: nothing changes */
    if (geteuid() != 0)
        return;
    ck_assert_int_eq(chown(path, 12345, (gid_t)-1), 0);
    ck_assert_int_eq(chmod(path, 04755), 0);
    assert_check(STATUS_CANNOT_RUN, "set-user-ID");
    ck_assert_int_eq(chown(path, 0, 12345), 0);
    ck_assert_int_eq(chmod(path, 02755), 0);
    assert_check(STATUS_CANNOT_RUN, "set-group-ID");
}
END_TEST

START_TEST(test_scripts_go_by_their_interpreter)
{
    assert_script("#!/bin/sh\n", 0, "");
    assert_script("#! /usr/bin/env sh\nexit\n", 0, "");
    assert_script("#!/no/such/interpreter -x\n", STATUS_NOT_FOUND, "/no/such/interpreter");
    assert_script("echo no first line\n", STATUS_CANNOT_RUN, "tagpool run sh");
    assert_script("#!\n", STATUS_CANNOT_RUN, "neither");
    assert_script("", STATUS_CANNOT_RUN, "neither");
    char self[PATH_MAX + 8];
    snprintf(self, sizeof(self), "#!%s\n", path);
    assert_script(self, STATUS_CANNOT_RUN, "script in a script");
}
END_TEST

START_TEST(test_files_that_cannot_be_executed)
{
    write_file(image, image_size, 0600);
    assert_check(STATUS_CANNOT_RUN, "not executable");
    unlink(path);
    assert_check(STATUS_NOT_FOUND, "No such file");
    ck_assert_int_eq(elf_check_program(directory, why), STATUS_CANNOT_RUN);
}
END_TEST

START_TEST(test_programs_are_found_as_a_shell_does)
{
    char list[256];
    write_file(image, image_size, 0700);
    snprintf(list, sizeof(list), "/nowhere:%s", directory);
    setenv("PATH", list, 1);
    ck_assert_int_eq(elf_check_find("program", found, why), 0);
    ck_assert_str_eq(found, path);
    ck_assert_int_eq(elf_check_find(path, found, why), 0);
    ck_assert_int_eq(elf_check_find("no-such-program", found, why), STATUS_NOT_FOUND);
    ck_assert_int_eq(elf_check_find("", found, why), STATUS_NOT_FOUND);
    chmod(path, 0600);
    ck_assert_int_eq(elf_check_find("program", found, why), STATUS_CANNOT_RUN);
    chmod(path, 0700);
    setenv("PATH", "", 1);
    ck_assert_int_eq(chdir(directory), 0);
    ck_assert_int_eq(elf_check_find("program", found, why), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("elf_check");
    TCase *group = tcase_create("elf_check");
    tcase_add_checked_fixture(group, setup, teardown);
    tcase_add_test(group, test_dynamic_program_is_taken);
    tcase_add_test(group, test_static_program_is_refused);
    tcase_add_test(group, test_other_machine_is_refused);
    tcase_add_test(group, test_other_class_is_refused);
    tcase_add_test(group, test_other_c_library_is_refused);
    tcase_add_test(group, test_object_file_is_refused);
    tcase_add_test(group, test_damaged_headers_are_refused);
    tcase_add_test(group, test_set_user_id_is_refused_for_others);
    tcase_add_test(group, test_scripts_go_by_their_interpreter);
    tcase_add_test(group, test_files_that_cannot_be_executed);
    tcase_add_test(group, test_programs_are_found_as_a_shell_does);
    suite_add_tcase(suite, group);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
