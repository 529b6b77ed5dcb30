/*
 * D1 to D3, and words that stand for any text.
 */
#include "escape.h"
#include "ledger.h"
#include "memory.h"
#include "report.h"

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char directory[] = "/tmp/ledger_test.XXXXXX";
static char *argv[] = {"prog", "two words", "", NULL};

static void make_directory(void)
{
    ck_assert_ptr_nonnull(mkdtemp(directory));
}

static void remove_directory(void)
{
    char *command = memory_format("rm -r %s", directory);
    ck_assert_int_eq(system(command), 0);
    free(command);
}

static char *path_of(const char *name)
{
    return memory_format("%s/%s", directory, name);
}

/* A program of this size. */
static char *make_program(size_t size)
{
    char *path = path_of("prog");
    FILE *out = fopen(path, "w");
    ck_assert_ptr_nonnull(out);
    fprintf(out, "%*s", (int)size, "");
    fclose(out);
    return path;
}

static void append(const char *text)
{
    char *path = path_of("state");
    FILE *out = fopen(path, "a");
    ck_assert_ptr_nonnull(out);
    fputs(text, out);
    fclose(out);
    free(path);
}

static int open_ledger(struct ledger *ledger, bool to_write)
{
    char *program = path_of("prog");
    int status = ledger_open(ledger, path_of("state"), program, argv, to_write);
    free(program);
    return status;
}

static struct chain make_chain(const char *module, size_t count)
{
    struct chain chain = {memory_alloc(count, sizeof(struct chain_frame)), count};
    for (size_t i = 0; i < count; i++)
        chain.frames[i] = (struct chain_frame){module != NULL ? memory_copy_text(module) : NULL, 0x1234 + i, i == 0};
    return chain;
}

static int add(struct ledger *ledger, uint64_t hash, const char *module)
{
    return ledger_add(ledger, (struct ledger_entry){.hash = hash,
                                                    .verdict = VERDICT_CRASHED,
                                                    .detail = 11,
                                                    .size = 40,
                                                    .tag = 0x6e6e6f43,
                                                    .program = memory_copy_text("a b\n"),
                                                    .chain = make_chain(module, 2),
                                                    .crash = make_chain(NULL, hash % 2)});
}

static void must_be(const struct ledger_entry *entry, uint32_t number, uint64_t hash, const char *module)
{
    ck_assert_ptr_nonnull(entry);
    ck_assert_uint_eq(entry->number, number);
    ck_assert_uint_eq(entry->hash, hash);
    ck_assert_int_eq(entry->verdict, VERDICT_CRASHED);
    ck_assert_uint_eq(entry->detail, 11);
    ck_assert_uint_eq(entry->size, 40);
    ck_assert_uint_eq(entry->tag, 0x6e6e6f43);
    ck_assert_str_eq(entry->program, "a b\n");
    ck_assert_uint_eq(entry->chain.count, 2);
    ck_assert_str_eq(entry->chain.frames[1].module, module);
    ck_assert_uint_eq(entry->chain.frames[1].offset, 0x1235);
    ck_assert(entry->chain.frames[0].is_exact && !entry->chain.frames[1].is_exact);
    ck_assert_uint_eq(entry->crash.count, hash % 2);
    ck_assert(hash % 2 == 0 || entry->crash.frames[0].module == NULL);
}

START_TEST(words_stand_for_any_text)
{
    const char *const texts[] = {"", "-", "--", "a b", "\\x41", "\\", "tab\tline\n", "\xff\x01", "+0x1,x!"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        char *word = NULL;
        size_t size = 0;
        FILE *out = open_memstream(&word, &size);
        escape_put(out, texts[i]);
        fclose(out);
        ck_assert(word[0] != '\0' && strpbrk(word, " \t\n") == NULL);
        char *text = escape_read(word);
        ck_assert_str_eq(text, texts[i]);
        free(text);
        free(word);
    }
}
END_TEST

START_TEST(what_is_written_is_read)
{
    struct ledger ledger;
    free(make_program(10));
    ck_assert_int_eq(open_ledger(&ledger, true), 0);
    ck_assert_int_eq(add(&ledger, 7, "/lib/a, b+0x1!.so"), 0);
    ck_assert_int_eq(add(&ledger, UINT64_MAX - 1, "/lib/c.so"), 0);
    ledger_free(&ledger);
    for (int to_write = 0; to_write < 2; to_write++) {
        ck_assert_int_eq(open_ledger(&ledger, to_write != 0), 0);
        ck_assert_uint_eq(ledger.count, 2);
        must_be(ledger_find(&ledger, 1), 1, 7, "/lib/a, b+0x1!.so");
        must_be(ledger_find(&ledger, 2), 2, UINT64_MAX - 1, "/lib/c.so");
        ck_assert_ptr_null(ledger_find(&ledger, 3));
        ledger_free(&ledger);
    }
}
END_TEST

START_TEST(a_piece_of_a_line_is_cut_off)
{
    struct ledger ledger;
    free(make_program(10));
    ck_assert_int_eq(open_ledger(&ledger, true), 0);
    ck_assert_int_eq(add(&ledger, 7, "/lib/a.so"), 0);
    ledger_free(&ledger);
    append("nonsense\nstack 2 xyz crashed 1 1 1 p - -\nstack 3 9 mad 1 1 1 p - -\nstack 4 9 crashed 1 1 1 p oops -\n"
           "stack 5 9 crashed 1 1 1 p /a+0xzz -\nstack 6 000000");
    ck_assert_int_eq(open_ledger(&ledger, true), 0);
    ck_assert_uint_eq(ledger.count, 1);
    ck_assert_int_eq(add(&ledger, 8, "/lib/b.so"), 0);
    ledger_free(&ledger);
    ck_assert_int_eq(open_ledger(&ledger, false), 0);
    ck_assert_uint_eq(ledger.count, 2);
    must_be(ledger_find(&ledger, 2), 2, 8, "/lib/b.so");
    ledger_free(&ledger);
}
END_TEST

START_TEST(another_build_begins_anew)
{
    struct ledger ledger;
    free(make_program(10));
    ck_assert_int_eq(open_ledger(&ledger, true), 0);
    ck_assert(!ledger.is_anew);
    ck_assert_int_eq(add(&ledger, 7, "/lib/a.so"), 0);
    ledger_free(&ledger);
    free(make_program(11));
    ck_assert_int_eq(open_ledger(&ledger, true), 0);
    ck_assert(ledger.is_anew);
    ck_assert_uint_eq(ledger.count, 0);
    ledger_free(&ledger);
}
END_TEST

START_TEST(what_is_another_ones_is_not_touched)
{
    struct ledger ledger;
    struct stat before, after;
    char *state = path_of("state"), *other[] = {"prog", "other", NULL};
    char *program = make_program(10);
    ck_assert_int_eq(ledger_open(&ledger, memory_copy_text(state), program, other, true), 0);
    ck_assert_int_eq(add(&ledger, 7, "/lib/a.so"), 0);
    ledger_free(&ledger);
    ck_assert_int_eq(stat(state, &before), 0);
    ck_assert_int_eq(open_ledger(&ledger, true), STATUS_FAILED);
    ledger_free(&ledger);
    ck_assert_int_eq(stat(state, &after), 0);
    ck_assert_int_eq(before.st_size, after.st_size);
    ck_assert_int_eq(open_ledger(&ledger, false), 0); /* to read, it will do */
    ck_assert_uint_eq(ledger.count, 1);
    ledger_free(&ledger);
    unlink(state);
    append("a shopping list\n");
    ck_assert_int_eq(open_ledger(&ledger, true), STATUS_FAILED);
    ledger_free(&ledger);
    ck_assert_int_eq(open_ledger(&ledger, false), STATUS_FAILED);
    ledger_free(&ledger);
    free(state);
    free(program);
}
END_TEST

START_TEST(one_at_a_time_writes)
{
    struct ledger ledger, other;
    free(make_program(10));
    ck_assert_int_eq(open_ledger(&ledger, true), 0);
    ck_assert_int_eq(open_ledger(&other, true), STATUS_FAILED);
    ledger_free(&other);
    ck_assert_int_eq(open_ledger(&other, false), 0);
    ledger_free(&other);
    ledger_free(&ledger);
}
END_TEST

START_TEST(each_command_has_its_own)
{
    char *other[] = {"prog", "two", "words", "", NULL};
    setenv("XDG_STATE_HOME", "/state", 1);
    char *one = ledger_default_path("/bin/prog", argv, NULL), *two = ledger_default_path("/bin/prog", other, NULL);
    ck_assert(strncmp(one, "/state/tagpool/systematic/prog-", 31) == 0);
    ck_assert_str_ne(one, two);
    free(two);
    two = ledger_default_path("/bin/prog", argv, " --leaks"); /* what was found without says nothing of it */
    ck_assert_str_ne(one, two);
    free(one);
    free(two);
    unsetenv("XDG_STATE_HOME");
    setenv("HOME", "/home/me", 1);
    one = ledger_default_path("/bin/prog", argv, NULL);
    ck_assert(strncmp(one, "/home/me/.local/state/tagpool/systematic/prog-", 46) == 0);
    free(one);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {words_stand_for_any_text,
                                  what_is_written_is_read,
                                  a_piece_of_a_line_is_cut_off,
                                  another_build_begins_anew,
                                  what_is_another_ones_is_not_touched,
                                  one_at_a_time_writes,
                                  each_command_has_its_own};
    Suite *suite = suite_create("ledger");
    TCase *tcase = tcase_create("ledger");
    tcase_add_checked_fixture(tcase, make_directory, remove_directory);
    for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
        tcase_add_test(tcase, tests[i]);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
