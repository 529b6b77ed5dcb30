/*
 * The small parts of the tools: numbers for people, names from strangers, patterns, orders, symbols.
 */
#include "label.h"
#include "selection.h"
#include "symbol.h"
#include "units.h"

#include <check.h>
#include <dlfcn.h>
#include <link.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- units ---- */

static const struct {
    uint64_t number;
    const char *bytes;
    const char *count;
} units_rows[] = {
    {0, "0", "0"},
    {512, "512", "512"},
    {1023, "1023", "1023"},
    {1024, "1.0K", "1024"},
    {1536, "1.5K", "1536"},
    {9999, "9.8K", "9999"},
    {10000, "9.8K", "10K"},
    {10188, "9.9K", "10K"},
    {10189, "10K", "10K"},
    {999499, "976K", "999K"},
    {999500, "976K", "1.0M"},
    {1048063, "1023K", "1.0M"},
    {1048064, "1.0M", "1.0M"},
    {956301312, "912M", "956M"},
    {1288490188, "1.2G", "1.3G"},
    {UINT64_MAX, "16E", "18E"},
};

START_TEST(test_units)
{
    char text[UNITS_TEXT];
    ck_assert_str_eq(units_bytes(text, units_rows[_i].number), units_rows[_i].bytes);
    ck_assert_str_eq(units_count(text, units_rows[_i].number), units_rows[_i].count);
}
END_TEST

START_TEST(test_units_of_change)
{
    char text[UNITS_TEXT];
    ck_assert_str_eq(units_change_bytes(text, 0), "0");
    ck_assert_str_eq(units_change_bytes(text, 1536), "+1.5K");
    ck_assert_str_eq(units_change_bytes(text, -12), "-12");
    ck_assert_str_eq(units_change_bytes(text, INT64_MIN), "-8.0E");
    ck_assert_str_eq(units_change_count(text, -20000), "-20K");
}
END_TEST

/* ---- labels ---- */

static const char *put(const char *text, size_t columns)
{
    static char line[64];
    FILE *out = fmemopen(line, sizeof(line), "w");
    label_put(out, text, columns);
    fclose(out);
    return line;
}

START_TEST(test_labels_do_not_steer_the_terminal)
{
    char clean[64], tag[LABEL_TAG];
    label_clean(clean, sizeof(clean), "a\x1b[2J\r\n\x9b\xff z", 64);
    ck_assert_str_eq(clean, "a?[2J???? z");
    label_clean(clean, 5, "long name", 64);
    ck_assert_str_eq(clean, "long");
    label_clean(clean, sizeof(clean), "no end", 2);
    ck_assert_str_eq(clean, "no");
    ck_assert_str_eq(label_tag(tag, 0x1b800041), "A...");
}
END_TEST

START_TEST(test_labels_are_cut_and_filled)
{
    ck_assert_str_eq(put("abc", 5), "abc  ");
    ck_assert_str_eq(put("abcde", 5), "abcde");
    ck_assert_str_eq(put("abcdef", 5), "abcd~");
}
END_TEST

START_TEST(test_labels_count_columns_not_bytes)
{
    char clean[64];
    if (setlocale(LC_CTYPE, "C.UTF-8") == NULL)
        return; /* a system without it has no wide characters to test */
    label_clean(clean, sizeof(clean), "libé世.so", 64);
    ck_assert_str_eq(clean, "libé世.so");
    ck_assert_uint_eq(label_width(clean), 9);
    ck_assert_str_eq(put(clean, 6), "libé~ ");
    label_clean(clean, sizeof(clean), "é\xc3", 64);
    ck_assert_str_eq(clean, "é?");
}
END_TEST

/* ---- selections ---- */

static struct pool make_pool(uint32_t slot, const char *tag, enum pool_kind kind, uint64_t bytes, int64_t change)
{
    struct pool pool = {.slot = slot, .kind = kind, .bytes = bytes, .change = {.bytes = change}};
    memcpy(&pool.tag, tag, sizeof(pool.tag));
    return pool;
}

static void assert_order(const struct selection *selection, const char *slots)
{
    struct pool pools[] = {
        make_pool(1, "Bb  ", POOL_PAGED, 300, 1),
        make_pool(2, "Aa  ", POOL_PAGED, 100, 900),
        make_pool(3, "Aa  ", POOL_NONPAGED, 100, -5),
        make_pool(4, "Io*x", POOL_PAGED, 200, 0),
    };
    struct accounts accounts = {.pools = pools, .pool_count = 4};
    char found[8] = "";
    size_t count;
    const struct pool **chosen = selection_make(selection, &accounts, SORT_TAG, &count);
    for (size_t i = 0; i < count; i++)
        found[i] = (char)('0' + chosen[i]->slot);
    ck_assert_str_eq(found, slots);
    free(chosen);
}

START_TEST(test_orders)
{
    assert_order(&(struct selection){.sort = SORT_DEFAULT}, "3214");
    assert_order(&(struct selection){.sort = SORT_BYTES}, "1432");
    assert_order(&(struct selection){.sort = SORT_BYTES, .by_change = true}, "2143");
    assert_order(&(struct selection){.kind = KIND_NONPAGED}, "3");
    assert_order(&(struct selection){.kind = KIND_PAGED}, "214");
}
END_TEST

static void assert_only(const char *pattern, const char *slots)
{
    struct selection selection = {.sort = SORT_TAG};
    ck_assert(selection_add_pattern(&selection.only, pattern));
    assert_order(&selection, slots);
    selection_free(&selection);
}

START_TEST(test_patterns)
{
    struct selection selection = {.sort = SORT_TAG};
    assert_only("Aa", "32");
    assert_only("Aa ", "32");
    assert_only("aa", "");
    assert_only("A*", "32");
    assert_only("?b", "1");
    assert_only("I?*x", "4");
    assert_only("Io", "");
    assert_only("Aa   ", "");
    ck_assert(!selection_add_pattern(&selection.only, "*"));
    ck_assert(!selection_add_pattern(&selection.only, ""));
    ck_assert(selection_add_pattern(&selection.hidden, "Aa"));
    assert_order(&selection, "14");
    selection_free(&selection);
}
END_TEST

/* ---- symbols ---- */

/* A call whose return address is known to lie in here. */
static __attribute__((noinline)) uintptr_t where_am_i(void)
{
    return (uintptr_t)__builtin_return_address(0);
}

__attribute__((noinline)) uintptr_t known_caller(void);
__attribute__((noinline)) uintptr_t known_caller(void)
{
    volatile uintptr_t address = where_am_i();
    return address;
}

static int find_first_module(struct dl_phdr_info *info, size_t size, void *context)
{
    (void)size;
    *(uintptr_t *)context = info->dlpi_addr;
    return 1; /* the first one is the program */
}

static char *name_of(const char *site)
{
    struct symbol_process *process = symbol_open(getpid(), "argv-zero");
    char *name = symbol_name(process, site);
    symbol_close(process);
    return name;
}

static char *name_of_site(const char *format, uintptr_t offset)
{
    char path[256] = "", site[512];
    ck_assert_int_gt(readlink("/proc/self/exe", path, sizeof(path) - 1), 0);
    snprintf(site, sizeof(site), format, strrchr(path, '/') + 1, (unsigned long)offset);
    return name_of(site);
}

START_TEST(test_sites_get_function_and_line)
{
    uintptr_t address = known_caller(), base = 0;
    dl_iterate_phdr(find_first_module, &base);
    char *name = name_of_site("%s+0x%lx", address - base);
    ck_assert_ptr_nonnull(name);
    ck_assert_msg(strncmp(name, "known_caller+0x", 15) == 0, "%s", name);
    ck_assert_msg(strstr(name, "(model_test.c:") != NULL, "%s", name);
    free(name);
}
END_TEST

START_TEST(test_the_executable_may_go_by_another_name)
{
    uintptr_t address = known_caller(), base = 0;
    char site[64];
    dl_iterate_phdr(find_first_module, &base);
    snprintf(site, sizeof(site), "argv-zero+0x%lx", (unsigned long)(address - base));
    char *name = name_of(site);
    ck_assert_ptr_nonnull(name);
    ck_assert_msg(strncmp(name, "known_caller+0x", 15) == 0, "%s", name);
    free(name);
}
END_TEST

/* libdw.so.1 is a link to a file with its version; maps shows that one. */
START_TEST(test_a_library_is_known_by_its_link)
{
    void *library = dlopen("libdw.so.1", RTLD_NOW);
    struct link_map *map;
    char site[64];
    ck_assert_ptr_nonnull(library);
    ck_assert_int_eq(dlinfo(library, RTLD_DI_LINKMAP, &map), 0);
    snprintf(site, sizeof(site), "libdw.so.1+0x%lx",
             (unsigned long)((uintptr_t)dlsym(library, "dwfl_begin") + 1 - map->l_addr));
    char *name = name_of(site);
    ck_assert_ptr_nonnull(name);
    ck_assert_msg(strncmp(name, "dwfl_begin+0x1", 14) == 0, "%s", name);
    free(name);
}
END_TEST

START_TEST(test_sites_that_cannot_be_named)
{
    ck_assert_ptr_null(name_of_site("%s", 0));
    ck_assert_ptr_null(name_of_site("%s+0x%lxzz", 1));
    ck_assert_ptr_null(name_of_site("%s+0x0%.0lu", 0));
    ck_assert_ptr_null(name_of_site("/%s+0x%lx", 64));
    ck_assert_ptr_null(name_of_site("../%s+0x%lx", 64));
    ck_assert_ptr_null(name_of_site("not-%s+0x%lx", 64));
    ck_assert_ptr_null(name_of_site("%s+0x%lx", (uintptr_t)-1));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("model");
    TCase *group = tcase_create("model");
    tcase_set_timeout(group, 60);
    tcase_add_loop_test(group, test_units, 0, sizeof(units_rows) / sizeof(units_rows[0]));
    tcase_add_test(group, test_units_of_change);
    tcase_add_test(group, test_labels_do_not_steer_the_terminal);
    tcase_add_test(group, test_labels_are_cut_and_filled);
    tcase_add_test(group, test_labels_count_columns_not_bytes);
    tcase_add_test(group, test_orders);
    tcase_add_test(group, test_patterns);
    tcase_add_test(group, test_sites_get_function_and_line);
    tcase_add_test(group, test_the_executable_may_go_by_another_name);
    tcase_add_test(group, test_a_library_is_known_by_its_link);
    tcase_add_test(group, test_sites_that_cannot_be_named);
    suite_add_tcase(suite, group);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
