#include "verify.h"
#include "keptfile.h"
#include "memory.h"
#include "number.h"
#include "pattern.h"
#include "report.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* ---- words ---- */

static void verify_put(struct verify *verify, enum verify_word word, const char *option, char *text)
{
    free(verify->words[word]);
    verify->words[word] = text;
    verify->option = option;
}

static bool verify_is_one_of(const char *value, const char *const *choices)
{
    for (; *choices != NULL; choices++)
        if (strcmp(value, *choices) == 0)
            return true;
    return false;
}

/* ---- --verify ---- */

/* Words of --verify=LIST; "all" and "auto" are about the special pool. */
static const struct {
    const char *name;
    unsigned words;
} verify_lists[] = {
    {"auto", 1u << VERIFY_SPECIAL},
    {"special", 1u << VERIFY_SPECIAL},
    {"exact", 1u << VERIFY_EXACT},
    {"track", 1u << VERIFY_TRACK},
    {"leaks", 1u << VERIFY_LEAKS},
    {"harden", 1u << VERIFY_HARDEN},
    {"all", 1u << VERIFY_WORDS | 1u << VERIFY_SPECIAL | 1u << VERIFY_TRACK | 1u << VERIFY_LEAKS},
};

static int verify_add_list(struct verify *verify, const char *name, size_t length)
{
    for (size_t i = 0; i < sizeof(verify_lists) / sizeof(verify_lists[0]); i++)
        if (strlen(verify_lists[i].name) == length && memcmp(verify_lists[i].name, name, length) == 0) {
            verify->defaults |= verify_lists[i].words;
            return 0;
        }
    return report_usage("--verify=%.*s is not known: say --verify, or --verify= and some of all, auto, exact, harden,"
                        " leaks, special, track, with commas in between.",
                        (int)length, name);
}

int verify_set_verify(struct verify *verify, const char *value)
{
    verify->is_on = true;
    if (value == NULL)
        value = "auto";
    for (;; value++) {
        size_t length = strcspn(value, ",");
        int status = verify_add_list(verify, value, length);
        if (status != 0 || value[length] == '\0')
            return status;
        value += length;
    }
}

/* ---- the special pool ---- */

static int verify_set_sample(struct verify *verify, const char *value)
{
    static const char sample[] = "sample:1/";
    const char *at = value + sizeof(sample) - 1;
    uint64_t number;
    if (strncmp(value, sample, sizeof(sample) - 1) != 0 || !number_read(&at, "", UINT32_MAX, &number) ||
        number == 0)
        return report_usage("--special-pool=%s is no fraction: say --special-pool=sample:1/1000.", value);
    verify_put(verify, VERIFY_SPECIAL, "--special-pool",
               memory_format("special=sample:%llu", (unsigned long long)number));
    return 0;
}

static int verify_set_budget(struct verify *verify, const char *value)
{
    const char *at = value + strlen("auto:");
    uint64_t percent;
    if (!number_read(&at, "", 100, &percent) || percent == 0)
        return report_usage("--special-pool=%s is no share of the time: say --special-pool=auto:10, 1 to 100 percent.",
                            value);
    verify_put(verify, VERIFY_SPECIAL, "--special-pool", memory_format("special=%s", value));
    return 0;
}

int verify_set_special_pool(struct verify *verify, const char *value)
{
    static const char *const choices[] = {"auto", "all", NULL};
    if (value == NULL)
        value = "auto";
    if (strncmp(value, "sample:", 7) == 0)
        return verify_set_sample(verify, value);
    if (strncmp(value, "auto:", 5) == 0)
        return verify_set_budget(verify, value);
    if (!verify_is_one_of(value, choices))
        return report_usage("--special-pool=%s is not known: say auto, auto:PERCENT, all or sample:1/N.", value);
    verify_put(verify, VERIFY_SPECIAL, "--special-pool", memory_format("special=%s", value));
    return 0;
}

int verify_set_tags(struct verify *verify, const char *value)
{
    for (const char *at = value;; at++) {
        size_t length = strcspn(at, ",");
        if (!pattern_is_good(at, length))
            return report_usage("--tags=%s is no list of tags: say --tags=Conn,Req?,lib*, with ? for one character (a"
                                " blank, too) and * at an end for the rest.",
                                value);
        at += length;
        if (*at == '\0')
            break;
    }
    char *before = verify->words[VERIFY_TAGS];
    verify_put(verify, VERIFY_TAGS, "--tags",
               before == NULL ? memory_format("tags=%s", value) : memory_format("%s,%s", before, value));
    return 0;
}

int verify_set_sizes(struct verify *verify, const char *value)
{
    const char *at = value;
    uint64_t from, to;
    bool is_good = number_read(&at, "-", INT64_MAX, &from);
    to = from;
    if (is_good && *at++ == '-')
        is_good = number_read(&at, "", INT64_MAX, &to);
    if (!is_good || to < from)
        return report_usage("--sizes=%s is no range: say --sizes=100-200, in bytes.", value);
    verify_put(verify, VERIFY_SIZES, "--sizes",
               memory_format("sizes=%llu-%llu", (unsigned long long)from, (unsigned long long)to));
    return 0;
}

int verify_set_ends(struct verify *verify, const char *value)
{
    static const char *const choices[] = {"over", "under", "mixed", "both", NULL};
    if (!verify_is_one_of(value, choices))
        return report_usage("--ends=%s is not known: say over, under, mixed or both.", value);
    verify->both_ends = strcmp(value, "both") == 0;
    verify_put(verify, VERIFY_ENDS, "--ends", memory_format("ends=%s", value));
    return 0;
}

int verify_set_quarantine(struct verify *verify, const char *value)
{
    const char *at = value;
    uint64_t blocks;
    if (!number_read(&at, "", UINT32_MAX, &blocks))
        return report_usage("--quarantine=%s is no number of blocks.", value);
    verify_put(verify, VERIFY_QUARANTINE, "--quarantine", memory_format("quarantine=%llu", (unsigned long long)blocks));
    return 0;
}

int verify_set_guard(struct verify *verify, const char *value)
{
    static const char *const choices[] = {"auto", "madvise", "userfault", "protect", NULL};
    if (!verify_is_one_of(value, choices))
        return report_usage("--guard=%s is not known: say auto, madvise, userfault or protect.", value);
    verify_put(verify, VERIFY_GUARD, "--guard", memory_format("guard=%s", value));
    return 0;
}

/* ---- plain words ---- */

static int verify_put_plain(struct verify *verify, enum verify_word word, const char *option, const char *text)
{
    verify_put(verify, word, option, memory_copy_text(text));
    return 0;
}

int verify_set_exact(struct verify *verify, const char *value)
{
    (void)value;
    return verify_put_plain(verify, VERIFY_EXACT, "--exact", "exact");
}

int verify_set_track(struct verify *verify, const char *value)
{
    static const char *const choices[] = {"site", "stacks", "full", NULL};
    if (value == NULL)
        value = "stacks";
    if (!verify_is_one_of(value, choices))
        return report_usage("--track=%s is not known: say site, stacks or full.", value);
    verify_put(verify, VERIFY_TRACK, "--track", memory_format("track=%s", value));
    return 0;
}

int verify_set_leaks(struct verify *verify, const char *value)
{
    if (value != NULL && strcmp(value, "all") != 0)
        return report_usage("--leaks=%s is not known: say --leaks, or --leaks=all to see reachable blocks as well.",
                            value);
    verify->all_leaks = value != NULL;
    return verify_put_plain(verify, VERIFY_LEAKS, "--leaks", "leaks=1");
}

int verify_set_harden(struct verify *verify, const char *value)
{
    (void)value;
    verify->is_on = true;
    return verify_put_plain(verify, VERIFY_HARDEN, "--harden", "harden");
}

/* ---- faults ---- */

/* Windows' own default. */
#define VERIFY_FAIL_DEFAULT "probability:600"

/* One part of --fail in the program's words, or NULL. */
static char *verify_fail_part(const char *part)
{
    const char *value = strchr(part, ':');
    uint64_t number;
    if (value == NULL)
        return NULL;
    size_t length = (size_t)(value++ - part);
    const char *at = value;
    if (strncmp(part, "tag:", length + 1) == 0 || strncmp(part, "site:", length + 1) == 0)
        return pattern_is_good(value, strlen(value)) ? memory_copy_text(part) : NULL;
    if (strncmp(part, "after:", length + 1) == 0)
        return number_read_time(value, &number) ? memory_format("after:%llu", (unsigned long long)number) : NULL;
    if (strncmp(part, "probability:", length + 1) == 0)
        return number_read(&at, "", 10000, &number) ? memory_copy_text(part) : NULL;
    if (strncmp(part, "nth:", length + 1) == 0)
        return number_read(&at, "", UINT32_MAX, &number) && number > 0 ? memory_copy_text(part) : NULL;
    return NULL;
}

/* All parts of --fail behind `text`, which is freed; NULL: one of them is wrong. */
static char *verify_fail_parts(char *text, char *parts)
{
    bool is_enough = strncmp(parts, "nth:", 4) == 0 || strstr(parts, ",nth:") != NULL ||
                     strncmp(parts, "probability:", 12) == 0 || strstr(parts, ",probability:") != NULL;
    for (char *part; (part = strsep(&parts, ",")) != NULL;) {
        char *good = verify_fail_part(part);
        char *longer = good != NULL ? memory_format("%s%s,", text, good) : NULL;
        free(text);
        free(good);
        text = longer;
        if (text == NULL)
            return NULL;
    }
    text[strlen(text) - 1] = '\0';
    char *whole = memory_format("%s%s", text, is_enough ? "" : "," VERIFY_FAIL_DEFAULT);
    free(text);
    return whole;
}

int verify_set_fail(struct verify *verify, const char *value)
{
    const char *before = verify->words[VERIFY_FAIL];
    char *parts = memory_copy_text(value);
    char *text =
        verify_fail_parts(memory_format("%s%sfail=", before != NULL ? before : "", before != NULL ? " " : ""), parts);
    free(parts);
    if (text == NULL)
        return report_usage("--fail=%s is not known: say some of probability:N (chances in 10000), tag:TAG, site:SITE,"
                            " nth:N, after:TIME (10s), with commas in between.",
                            value);
    verify_put(verify, VERIFY_FAIL, "--fail", text);
    return 0;
}

/* ---- what is told ---- */

int verify_set_json(struct verify *verify, const char *value)
{
    (void)value;
    verify->as_json = true;
    verify->option = "--json";
    return 0;
}

int verify_set_error_exitcode(struct verify *verify, const char *value)
{
    const char *at = value;
    uint64_t number;
    if (!number_read(&at, "", 255, &number))
        return report_usage("--error-exitcode=%s is no status from 0 to 255.", value);
    verify->error_exitcode = (int)number;
    verify->option = "--error-exitcode";
    return 0;
}

/* ---- all of it ---- */

/* What --verify=LIST stands for, where no option says more. */
static void verify_fill_defaults(struct verify *verify)
{
    static const char *const plain[VERIFY_WORDS] = {[VERIFY_SPECIAL] = "special=auto",
                                                    [VERIFY_EXACT] = "exact",
                                                    [VERIFY_TRACK] = "track",
                                                    [VERIFY_LEAKS] = "leaks=1",
                                                    [VERIFY_HARDEN] = "harden"};
    bool all = (verify->defaults >> VERIFY_WORDS & 1) != 0;
    for (int i = 0; i < VERIFY_WORDS; i++)
        if ((verify->defaults >> i & 1) != 0 && verify->words[i] == NULL)
            verify->words[i] = memory_copy_text(i == VERIFY_SPECIAL && all ? "special=all" : plain[i]);
}

int verify_finish(struct verify *verify)
{
    verify_fill_defaults(verify);
    if (verify->is_on || verify->is_systematic)
        return 0;
    if (verify->words[VERIFY_TAGS] != NULL)
        return report_usage("--tags=%s is not known: say --tags=module or --tags=site. Lists are for --verify.",
                            verify->words[VERIFY_TAGS] + strlen("tags="));
    if (verify->option != NULL)
        return report_usage("%s is about the verifier: say --verify as well.", verify->option);
    return 0;
}

void verify_use_kept(struct verify *verify, const char *program)
{
    struct keptfile file;
    const char *slash = strrchr(program, '/');
    program = slash != NULL ? slash + 1 : program;
    if (verify->is_on || verify->option != NULL || getenv("TAGPOOL_VERIFY") != NULL)
        return;
    if (keptfile_open(&file) == 0)
        verify->kept = keptfile_text(&file, program);
    verify->is_on = verify->kept != NULL;
    if (verify->is_on)
        report("%s runs under the verifier, as kept in %s: %s", program, file.path, verify->kept);
    keptfile_close(&file);
}

bool verify_has_rules(const struct verify *verify)
{
    for (int i = 0; i < VERIFY_WORDS; i++)
        if (i != VERIFY_HARDEN && verify->words[i] != NULL)
            return true;
    return verify->kept != NULL;
}

char *verify_text(const struct verify *verify, const char *ends)
{
    if (verify->kept != NULL)
        return memory_copy_text(verify->kept);
    char *text = memory_copy_text("");
    for (int i = 0; i < VERIFY_WORDS; i++) {
        const char *word = i == VERIFY_ENDS && ends != NULL ? ends : verify->words[i];
        if (word == NULL)
            continue;
        char *longer = memory_format("%s%s%s", text, text[0] != '\0' ? " " : "", word);
        free(text);
        text = longer;
    }
    return text;
}

void verify_free(struct verify *verify)
{
    for (int i = 0; i < VERIFY_WORDS; i++)
        free(verify->words[i]);
    free(verify->kept);
}
