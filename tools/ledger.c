#include "ledger.h"
#include "escape.h"
#include "memory.h"
#include "report.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define LEDGER_TITLE "tagpool-systematic 1\n"

/* ---- where it is ---- */

static uint64_t ledger_hash(uint64_t hash, const char *text)
{
    for (size_t i = 0; i <= strlen(text); i++)
        hash = (hash ^ (unsigned char)text[i]) * UINT64_C(0x100000001b3);
    return hash;
}

char *ledger_default_path(const char *program, char **argv, const char *given)
{
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME"), *slash = strrchr(program, '/');
    bool has_state = state != NULL && state[0] == '/';
    uint64_t hash = ledger_hash(UINT64_C(0xcbf29ce484222325), program);
    if (!has_state && (home == NULL || home[0] != '/'))
        return NULL;
    for (char **argument = argv; *argument != NULL; argument++)
        hash = ledger_hash(hash, *argument);
    if (given != NULL)
        hash = ledger_hash(hash, given);
    return memory_format("%s%s/tagpool/systematic/%s-%016" PRIx64 ".txt", has_state ? state : home,
                         has_state ? "" : "/.local/state", slash != NULL ? slash + 1 : program, hash);
}

static void ledger_make_directories(const char *path)
{
    char *copy = memory_copy_text(path);
    for (char *slash = strchr(copy + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(copy, 0777);
        *slash = '/';
    }
    free(copy);
}

/* ---- lines ---- */

/* The lines that say which command it is, and which build of the program. */
static char *ledger_make_head(const char *program, char **argv)
{
    struct stat st = {0};
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (out == NULL || stat(program, &st) != 0)
        st.st_size = 0;
    if (out == NULL)
        return memory_copy_text(LEDGER_TITLE);
    fputs(LEDGER_TITLE "program ", out);
    escape_put(out, program);
    fprintf(out, " %lld %lld.%09ld\ncommand", (long long)st.st_size, (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
    for (char **argument = argv; *argument != NULL; argument++) {
        fputc(' ', out);
        escape_put(out, *argument);
    }
    fputc('\n', out);
    fclose(out);
    return text;
}

static char *ledger_make_line(const struct ledger_entry *entry)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (out == NULL)
        return NULL;
    fprintf(out, "stack %u %016" PRIx64 " %s %lu %" PRIu64 " %08x ", entry->number, entry->hash,
            verdict_word(entry->verdict), entry->detail, entry->size, entry->tag);
    escape_put(out, entry->program);
    fputc(' ', out);
    chain_put(out, &entry->chain);
    fputc(' ', out);
    chain_put(out, &entry->crash);
    fputc('\n', out);
    fclose(out);
    return text;
}

static void ledger_free_entry(struct ledger_entry *entry)
{
    free(entry->program);
    chain_free(&entry->chain);
    chain_free(&entry->crash);
}

enum { LEDGER_WORDS = 10 };

static bool ledger_read_words(char *const words[LEDGER_WORDS], struct ledger_entry *entry)
{
    *entry = (struct ledger_entry){
        .number = (uint32_t)strtoul(words[1], NULL, 10),
        .hash = strtoull(words[2], NULL, 16),
        .verdict = verdict_named(words[3]),
        .detail = strtoul(words[4], NULL, 10),
        .size = strtoull(words[5], NULL, 10),
        .tag = (uint32_t)strtoul(words[6], NULL, 16),
        .program = escape_read(words[7]),
    };
    if (strcmp(words[0], "stack") == 0 && entry->hash != 0 && entry->verdict != VERDICTS &&
        chain_read(&entry->chain, words[8]) && chain_read(&entry->crash, words[9]))
        return true;
    ledger_free_entry(entry);
    return false;
}

/* What is no stack of ours is passed over. */
static void ledger_read_line(struct ledger *ledger, char *line)
{
    char *words[LEDGER_WORDS];
    struct ledger_entry entry;
    size_t count = 0;
    for (char *word; count < LEDGER_WORDS && (word = strsep(&line, " ")) != NULL;)
        words[count++] = word;
    if (count < LEDGER_WORDS || !ledger_read_words(words, &entry))
        return;
    ledger->entries = memory_grow(ledger->entries, ledger->count, sizeof(*ledger->entries));
    ledger->entries[ledger->count++] = entry;
}

/* ---- the file ---- */

static char *ledger_read_all(int fd)
{
    struct stat st;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
        return memory_copy_text("");
    char *text = memory_alloc((size_t)st.st_size + 1, 1);
    size_t size = 0;
    for (ssize_t got; size < (size_t)st.st_size; size += (size_t)got) {
        got = pread(fd, text + size, (size_t)st.st_size - size, (off_t)size);
        if (got <= 0)
            break;
    }
    return text;
}

/* A write that was cut short does not become part of the next. */
static int ledger_write(struct ledger *ledger, const char *text)
{
    off_t end = lseek(ledger->fd, 0, SEEK_END);
    size_t size = strlen(text);
    ssize_t written = write(ledger->fd, text, size);
    if (written == (ssize_t)size)
        return 0;
    int error = written < 0 ? -errno : -ENOSPC;
    return ftruncate(ledger->fd, end) == 0 ? error : -errno;
}

/* D1: lines that have an end.  Returns how much of the text that is. */
static size_t ledger_read_lines(struct ledger *ledger, char *text)
{
    char *at = text, *end;
    for (; (end = strchr(at, '\n')) != NULL; at = end + 1) {
        *end = '\0';
        ledger_read_line(ledger, at);
    }
    return (size_t)(at - text);
}

enum ledger_kind { LEDGER_EMPTY, LEDGER_SAME, LEDGER_OTHER_BUILD, LEDGER_OTHER_COMMAND, LEDGER_STRANGE };

/* Behind the n-th newline; NULL: there are not so many. */
static const char *ledger_behind_line(const char *text, int lines)
{
    for (; text != NULL && lines > 0; lines--) {
        text = strchr(text, '\n');
        text = text != NULL ? text + 1 : NULL;
    }
    return text;
}

static bool ledger_lines_match(const char *text, const char *other, size_t length)
{
    return strncmp(text, other, length) == 0;
}

/* Whose file it is, by its first three lines: a title, the program with its build, the command. */
static enum ledger_kind ledger_compare(const char *text, const char *head)
{
    const char *command = ledger_behind_line(text, 2), *own = ledger_behind_line(head, 2);
    const char *path = head + strlen(LEDGER_TITLE "program ");
    const char *behind = strchrnul(path, ' ');
    size_t path_length = (size_t)(behind - head) + 1;
    if (strncmp(text, LEDGER_TITLE, strlen(LEDGER_TITLE)) != 0 && !ledger_lines_match(LEDGER_TITLE, text, strlen(text)))
        return LEDGER_STRANGE;
    if (ledger_behind_line(text, 3) == NULL)
        return LEDGER_EMPTY;
    if (ledger_lines_match(text, head, strlen(head)))
        return LEDGER_SAME;
    bool is_same_command = ledger_lines_match(text, head, path_length) && ledger_lines_match(command, own, strlen(own));
    return is_same_command ? LEDGER_OTHER_BUILD : LEDGER_OTHER_COMMAND;
}

static int ledger_begin(struct ledger *ledger, const char *head)
{
    if (ftruncate(ledger->fd, 0) != 0)
        return -errno;
    return ledger_write(ledger, head);
}

static int ledger_load_to_write(struct ledger *ledger, char *text, const char *head)
{
    enum ledger_kind kind = ledger_compare(text, head);
    if (kind == LEDGER_STRANGE || kind == LEDGER_OTHER_COMMAND)
        return -EINVAL;
    ledger->is_anew = kind == LEDGER_OTHER_BUILD;
    if (kind != LEDGER_SAME)
        return ledger_begin(ledger, head);
    return ftruncate(ledger->fd, (off_t)ledger_read_lines(ledger, text)) == 0 ? 0 : -errno;
}

static int ledger_load(struct ledger *ledger, const char *head, bool to_write)
{
    char *text = ledger_read_all(ledger->fd);
    int error = 0;
    if (to_write)
        error = ledger_load_to_write(ledger, text, head);
    else if (ledger_compare(text, head) == LEDGER_STRANGE)
        error = -EINVAL;
    else
        ledger_read_lines(ledger, text);
    free(text);
    return error;
}

static int ledger_explain(const struct ledger *ledger, int error)
{
    if (error == -EWOULDBLOCK)
        report("%s is in use: the same command is being examined.", ledger->path);
    else if (error == -EINVAL)
        report("%s holds something else than the state of this command: name another file by --state.", ledger->path);
    else
        report("cannot use %s: %s.", ledger->path, strerror(-error));
    return STATUS_FAILED;
}

int ledger_open(struct ledger *ledger, char *path, const char *program, char **argv, bool to_write)
{
    *ledger = (struct ledger){.path = path};
    if (to_write)
        ledger_make_directories(path);
    ledger->fd = open(path, to_write ? O_RDWR | O_CREAT | O_CLOEXEC : O_RDONLY | O_CLOEXEC, 0666);
    int error = ledger->fd < 0 ? -errno : 0;
    if (error == 0 && to_write && flock(ledger->fd, LOCK_EX | LOCK_NB) != 0)
        error = -errno; /* D3 */
    if (error == 0) {
        char *head = ledger_make_head(program, argv);
        error = ledger_load(ledger, head, to_write);
        free(head);
    }
    return error == 0 ? 0 : ledger_explain(ledger, error);
}

int ledger_add(struct ledger *ledger, struct ledger_entry entry)
{
    entry.number = ledger->count > 0 ? ledger->entries[ledger->count - 1].number + 1 : 1;
    char *line = ledger_make_line(&entry);
    int error = line != NULL ? ledger_write(ledger, line) : -ENOMEM;
    free(line);
    ledger->entries = memory_grow(ledger->entries, ledger->count, sizeof(*ledger->entries));
    ledger->entries[ledger->count++] = entry;
    return error;
}

const struct ledger_entry *ledger_find(const struct ledger *ledger, uint32_t number)
{
    for (size_t i = 0; i < ledger->count; i++)
        if (ledger->entries[i].number == number)
            return &ledger->entries[i];
    return NULL;
}

void ledger_free(struct ledger *ledger)
{
    for (size_t i = 0; i < ledger->count; i++)
        ledger_free_entry(&ledger->entries[i]);
    free(ledger->entries);
    if (ledger->fd >= 0)
        close(ledger->fd);
    free(ledger->path);
}
