/*
 * Kept settings, of all kinds of lines: what tools understand of them, programs understand in the same way.
 *
 *   K1  Where no line is passed over, a program has the rules that tools read.
 *   K2  What tools write reads as what they wrote.
 *   K3  Lines that are no settings, or passed over, stay as they are when others change.
 *
 * kept_fuzz [ROUNDS [SEED]]: lines are put together of words that are right, nearly right, and none.
 */
#include "kept.h"
#include "keptfile.h"
#include "os.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- the program's side, without a system ---- */

static char fuzz_text[KEPTFILE_SIZE];
static size_t fuzz_length;

const char *tp_os_environment(const char *name)
{
    return strcmp(name, "HOME") == 0 ? "/home" : NULL;
}

const char *tp_os_program_path(void)
{
    return "/bin/prog";
}

bool tp_os_is_privileged(void)
{
    return false;
}

int tp_os_read_own_file(const char *path, void *buffer, size_t size)
{
    if (strcmp(path, "/home/.config/tagpool/settings") != 0 || fuzz_length > size)
        abort();
    memcpy(buffer, fuzz_text, fuzz_length);
    return (int)fuzz_length;
}

/* ---- texts ---- */

static uint64_t fuzz_state;

static uint32_t fuzz_random(uint32_t sides)
{
    fuzz_state ^= fuzz_state << 13;
    fuzz_state ^= fuzz_state >> 7;
    fuzz_state ^= fuzz_state << 17;
    return (uint32_t)(fuzz_state >> 32) % sides;
}

static const char *const fuzz_programs[] = {"prog", "pro?", "*", "p*", "other", " prog ", "#prog", "", "a b", "prog:"};
static const char *const fuzz_words[] = {"special=all",
                                         "special=auto",
                                         "special=auto:10",
                                         "special=sample:7",
                                         "special=sample:0",
                                         "special=",
                                         "tags=Conn",
                                         "tags=Conn,Req?,lib*",
                                         "tags=",
                                         "tags=a,,b",
                                         "tags=a*b",
                                         "sizes=1-9",
                                         "sizes=5",
                                         "sizes=9-1",
                                         "sizes=0-0",
                                         "sizes=-",
                                         "ends=under",
                                         "ends=mixed",
                                         "ends=over",
                                         "ends=both",
                                         "exact",
                                         "watch",
                                         "track",
                                         "track=site",
                                         "track=full",
                                         "track=stacks",
                                         "track=x",
                                         "leaks",
                                         "leaks=1",
                                         "leaks=2",
                                         "harden",
                                         "quarantine=5",
                                         "quarantine=99999999999",
                                         "guard=protect",
                                         "guard=auto",
                                         "guard=x",
                                         "fail=probability:600",
                                         "fail=probability:1,tag:A*,nth:3,after:5,site:lib+0x12",
                                         "fail=nth:0",
                                         "fail=",
                                         "fail=after:10s",
                                         "nonsense",
                                         ";",
                                         ";",
                                         "",
                                         "\t",
                                         "special=all\r",
                                         "\x01",
                                         "tags=\xff"};

#define FUZZ_PICK(table) table[fuzz_random(sizeof(table) / sizeof((table)[0]))]

static void fuzz_add(const char *text)
{
    size_t length = strlen(text);
    if (fuzz_length + length > sizeof(fuzz_text) / 2)
        return;
    memcpy(fuzz_text + fuzz_length, text, length);
    fuzz_length += length;
}

static void fuzz_make_text(void)
{
    fuzz_length = 0;
    for (uint32_t lines = fuzz_random(6); lines > 0; lines--) {
        fuzz_add(fuzz_random(4) == 0 ? FUZZ_PICK(fuzz_programs) : "prog");
        fuzz_add(fuzz_random(30) == 0 ? " " : ": ");
        for (uint32_t words = fuzz_random(4); words > 0; words--) {
            fuzz_add(FUZZ_PICK(fuzz_words));
            fuzz_add(" ");
        }
        fuzz_add(fuzz_random(40) == 0 ? "" : "\n");
    }
    for (uint32_t harm = fuzz_random(8) == 0 ? fuzz_random(10) : 0; harm > 0 && fuzz_length > 0; harm--)
        fuzz_text[fuzz_random((uint32_t)fuzz_length)] = (char)fuzz_random(256);
}

/* ---- what must hold ---- */

static void fuzz_fail(const char *rule)
{
    printf("FAILED %s with this file:\n", rule);
    fwrite(fuzz_text, 1, fuzz_length, stdout);
    fflush(stdout);
    abort();
}

static bool fuzz_is_same(const struct words *words, const struct tp_settings *settings)
{
    return words->rules.count == settings->count && words->leaks == settings->leaks &&
           words->harden == settings->harden && words->quarantine == settings->quarantine &&
           memcmp(words->rules.rows, settings->rules, settings->count * sizeof(settings->rules[0])) == 0;
}

static bool fuzz_has_damage(const struct keptfile *file)
{
    for (size_t i = 0; i < file->count; i++) {
        const char *first = file->lines[i].text + strspn(file->lines[i].text, " \t\r");
        if (file->lines[i].program == NULL && *first != '\0' && *first != '#')
            return true;
    }
    return false;
}

/* K1. */
static void fuzz_check_same(const struct keptfile *file)
{
    char wrong[WORDS_WRONG];
    struct words words = {.leaks = false};
    struct tp_settings settings = {.count = 0};
    bool is_found = tp_kept_read(&settings);
    if (fuzz_has_damage(file))
        return;
    char *text = keptfile_text(file, "prog");
    if (is_found != (text != NULL))
        fuzz_fail("K1: found");
    if (text != NULL && words_read(&words, text, wrong) && !fuzz_is_same(&words, &settings))
        fuzz_fail("K1: rules");
    free(text);
}

/* K2.  What looks for leaks and tracks nothing tracks everything then. */
static void fuzz_check_written(const struct words *words)
{
    struct words again = {.leaks = false}, wanted = *words;
    const struct tagpool_segment_rule all = {.pattern = "*", .flags = TAGPOOL_SEGMENT_RULE_TRACK};
    char wrong[WORDS_WRONG];
    for (size_t n = 0; n < words_line_count(words); n++) {
        char *line = words_line(words, n);
        if (!words_read(&again, line, wrong))
            fuzz_fail("K2: read");
        free(line);
    }
    if (words_line_count(words) > words->rules.count && words->leaks)
        ruleset_append(&wanted.rules, &all);
    if ((ruleset_flags(&words->rules) & TAGPOOL_SEGMENT_RULE_AUTO) == 0)
        wanted.budget = 0;
    if (memcmp(&again, &wanted, sizeof(again)) != 0)
        fuzz_fail("K2: same");
}

static size_t fuzz_others(const struct keptfile *file, uint64_t *sum)
{
    size_t count = 0;
    for (size_t i = 0; i < file->count; i++) {
        if (file->lines[i].program != NULL && strcmp(file->lines[i].program, "prog") == 0)
            continue;
        count++;
        for (const char *at = file->lines[i].text; *at != '\0'; at++)
            *sum = *sum * 31 + (unsigned char)*at;
    }
    return count;
}

/* K3. */
static void fuzz_check_others(struct keptfile *file)
{
    struct words words;
    uint64_t before = 0, after = 0;
    bool has = keptfile_get(file, "prog", &words);
    size_t count = fuzz_others(file, &before), lines = has ? words_line_count(&words) : 0;
    if (has)
        fuzz_check_written(&words);
    keptfile_put(file, "prog", &words);
    if (keptfile_write(file) != 0)
        fuzz_fail("K3: written");
    keptfile_close(file);
    if (keptfile_open(file) != 0)
        fuzz_fail("K3: read");
    if (fuzz_others(file, &after) != count || before != after || file->count != count + lines)
        fuzz_fail("K3: lines");
}

static void fuzz_round(const char *path)
{
    struct keptfile file;
    fuzz_make_text();
    FILE *out = fopen(path, "w");
    if (out == NULL || fwrite(fuzz_text, 1, fuzz_length, out) != fuzz_length || fclose(out) != 0)
        abort();
    if (keptfile_open_to_change(&file) != 0)
        fuzz_fail("opened");
    fuzz_check_same(&file);
    fuzz_check_others(&file);
    keptfile_close(&file);
}

int main(int argc, char **argv)
{
    unsigned long rounds = argc > 1 ? strtoul(argv[1], NULL, 10) : 100000;
    uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    char directory[] = "/dev/shm/kept_fuzz.XXXXXX", place[64], path[128];
    if (mkdtemp(directory) == NULL || setenv("XDG_CONFIG_HOME", directory, 1) != 0)
        abort();
    snprintf(place, sizeof(place), "%s/tagpool", directory);
    snprintf(path, sizeof(path), "%s/settings", place);
    if (mkdir(place, 0700) != 0 || freopen("/dev/null", "w", stderr) == NULL)
        abort();
    fuzz_state = seed * 0x9e3779b97f4a7c15u + 1;
    printf("%lu rounds, seed %llu\n", rounds, (unsigned long long)seed);
    for (unsigned long i = 0; i < rounds; i++)
        fuzz_round(path);
    unlink(path);
    rmdir(place);
    rmdir(directory);
    return 0;
}
