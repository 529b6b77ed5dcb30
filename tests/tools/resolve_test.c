/*
 * Places in the source for addresses in a library: with debug information in the file or beside it, without, and
 * without the file.
 *
 *   resolve_test LIBRARY
 */
#include "resolve.h"
#include "resolve_target.h"
#include "symfile.h"

#include <check.h>
#include <dlfcn.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *library_path;
static uintptr_t library_base;
static char directory[64];
static struct resolve_place place;

static struct target_place call(const char *name)
{
    void *library = dlopen(library_path, RTLD_NOW);
    ck_assert_msg(library != NULL, "%s", dlerror());
    struct link_map *map;
    ck_assert_int_eq(dlinfo(library, RTLD_DI_LINKMAP, &map), 0);
    library_base = map->l_addr;
    target_function *function;
    void *found = dlsym(library, name);
    ck_assert_ptr_nonnull(found);
    memcpy(&function, &found, sizeof(function));
    return function();
}

/* The place of a call in the library, by what the file at `path` tells. */
static struct target_place find(const char *name, const char *path)
{
    struct target_place target = call(name);
    resolve_find(path, target.address - library_base, false, &place);
    return target;
}

static void setup(void)
{
    strcpy(directory, "/tmp/resolve.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
}

static void teardown(void)
{
    char command[128];
    resolve_free(&place);
    snprintf(command, sizeof(command), "rm -r %s", directory);
    ck_assert_int_eq(system(command), 0);
}

/* A copy of the library after a shell command, in which $1 is the library and $2 the copy; NULL: there is no such tool.
 */
static const char *changed(const char *command)
{
    static char path[128];
    char line[1024];
    snprintf(path, sizeof(path), "%s/libcopy.so", directory);
    snprintf(line, sizeof(line), "set -- '%s' '%s' && %s", library_path, path, command);
    return system("command -v objcopy >/dev/null") == 0 && system(line) == 0 ? path : NULL;
}

static void check_level(size_t index, const char *function, int line)
{
    const struct resolve_level *level = &place.levels[index];
    ck_assert_str_eq(level->function, function);
    ck_assert_ptr_nonnull(level->file);
    ck_assert_str_eq(strrchr(level->file, '/'), "/resolve_target.c");
    ck_assert_int_eq(level->line, line);
}

START_TEST(test_function_and_line)
{
    struct target_place target = find("target_plain", library_path);
    ck_assert_uint_eq(place.count, 1);
    check_level(0, "target_plain", target.line);
    ck_assert(!place.levels[0].is_inlined);
    ck_assert_uint_gt(place.levels[0].within, 0);
    ck_assert_int_eq(place.levels[0].file[0], '/');
    ck_assert_ptr_null(strstr(place.levels[0].file, "/../"));
    ck_assert_int_eq(access(place.levels[0].file, R_OK), 0);
}
END_TEST

START_TEST(test_inlined_callers)
{
    struct target_place target = find("target_with_inlined", library_path);
    ck_assert_uint_eq(place.count, 3);
    check_level(0, "target_inner", target.line);
    ck_assert_str_eq(place.levels[1].function, "target_middle");
    check_level(2, "target_with_inlined", target.outer_line);
    ck_assert(place.levels[0].is_inlined && place.levels[1].is_inlined && !place.levels[2].is_inlined);
}
END_TEST

START_TEST(test_an_exact_address_is_looked_up_itself)
{
    struct target_place target = call("target_plain");
    void *library = dlopen(library_path, RTLD_NOW);
    uintptr_t beginning = (uintptr_t)dlsym(library, "target_plain");
    resolve_find(library_path, beginning - library_base, true, &place);
    ck_assert_str_eq(place.levels[0].function, "target_plain");
    ck_assert_uint_eq(place.levels[0].within, 0);
    resolve_free(&place);
    resolve_find(library_path, target.address - library_base - 1, true, &place);
    check_level(0, "target_plain", target.line);
}
END_TEST

START_TEST(test_cpp_names)
{
    find("_ZN4pool4fillEi", library_path);
    char *name = symfile_demangle("_ZN4pool4fillEi");
    ck_assert_str_eq(place.levels[0].function, name != NULL ? "pool::fill(int)" : "_ZN4pool4fillEi");
    free(name);
    ck_assert_ptr_null(symfile_demangle("main"));
}
END_TEST

START_TEST(test_debug_information_in_a_file_of_its_own)
{
    const char *path =
        changed("cd \"$(dirname \"$2\")\" && objcopy --only-keep-debug \"$1\" libcopy.so.debug && objcopy "
                "--strip-all --add-gnu-debuglink=libcopy.so.debug \"$1\" \"$2\"");
    if (path == NULL)
        return;
    struct target_place target = find("target_with_inlined", path);
    ck_assert_uint_eq(place.count, 3);
    check_level(2, "target_with_inlined", target.outer_line);
}
END_TEST

START_TEST(test_no_debug_information)
{
    const char *path = changed("objcopy --strip-debug \"$1\" \"$2\"");
    if (path == NULL)
        return;
    find("target_of_static", path);
    ck_assert_uint_eq(place.count, 1);
    ck_assert_str_eq(place.levels[0].function, "target_static");
    ck_assert_uint_gt(place.levels[0].within, 0);
    ck_assert_ptr_null(place.levels[0].file);
}
END_TEST

/* Only what is exported is left. */
START_TEST(test_no_symbols)
{
    const char *path = changed("objcopy --strip-all \"$1\" \"$2\"");
    if (path == NULL)
        return;
    find("target_plain", path);
    ck_assert_str_eq(place.levels[0].function, "target_plain");
    resolve_free(&place);
    find("target_of_static", path);
    ck_assert(place.levels[0].function == NULL || strcmp(place.levels[0].function, "target_static") != 0);
}
END_TEST

START_TEST(test_files_that_are_none)
{
    static const char *const paths[] = {"", "linux-vdso.so.1", "/nowhere/libx.so", "/tmp", "/dev/zero", "/etc/passwd"};
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        resolve_free(&place);
        find("target_plain", paths[i]);
        ck_assert_uint_eq(place.count, 1);
        ck_assert_ptr_null(place.levels[0].function);
        ck_assert_ptr_null(place.levels[0].file);
    }
}
END_TEST

START_TEST(test_damaged_files)
{
    const char *path = changed("head -c 3000 \"$1\" >\"$2\"");
    if (path != NULL)
        find("target_plain", path); /* any answer is good that is one */
    resolve_free(&place);
    path = changed("cp \"$1\" \"$2\" && dd if=/dev/zero of=\"$2\" bs=1 seek=64 count=2000 conv=notrunc 2>/dev/null");
    if (path != NULL)
        find("target_plain", path);
}
END_TEST

START_TEST(test_addresses_that_are_nowhere)
{
    static const uint64_t offsets[] = {0, 1, 0x7fffffff, UINT64_MAX / 2, UINT64_MAX};
    for (size_t i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++)
        for (int is_exact = 0; is_exact < 2; is_exact++) {
            resolve_free(&place);
            resolve_find(library_path, offsets[i], is_exact != 0, &place);
            ck_assert_ptr_null(place.levels[0].file);
        }
}
END_TEST

START_TEST(test_servers_on_the_network_stay_known_to_children)
{
    setenv("DEBUGINFOD_URLS", "http://127.0.0.1:1/", 1);
    find("target_plain", library_path);
    ck_assert_str_eq(getenv("DEBUGINFOD_URLS"), "http://127.0.0.1:1/");
}
END_TEST

int main(int argc, char **argv)
{
    library_path = argc > 1 ? realpath(argv[1], NULL) : NULL;
    if (library_path == NULL)
        return 2;
    Suite *suite = suite_create("resolve");
    TCase *group = tcase_create("resolve");
    tcase_add_checked_fixture(group, setup, teardown);
    tcase_set_timeout(group, 30);
    tcase_add_test(group, test_function_and_line);
    tcase_add_test(group, test_inlined_callers);
    tcase_add_test(group, test_an_exact_address_is_looked_up_itself);
    tcase_add_test(group, test_cpp_names);
    tcase_add_test(group, test_debug_information_in_a_file_of_its_own);
    tcase_add_test(group, test_no_debug_information);
    tcase_add_test(group, test_no_symbols);
    tcase_add_test(group, test_files_that_are_none);
    tcase_add_test(group, test_damaged_files);
    tcase_add_test(group, test_addresses_that_are_nowhere);
    tcase_add_test(group, test_servers_on_the_network_stay_known_to_children);
    suite_add_tcase(suite, group);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
