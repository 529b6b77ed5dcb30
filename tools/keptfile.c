#include "keptfile.h"
#include "label.h"
#include "memory.h"
#include "pattern.h"
#include "report.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEPTFILE_NAME "settings"

/* Room to say what is wrong with a line. */
#define KEPTFILE_WHY (WORDS_WRONG + 32)

/* ---- the place ---- */

/* The directory, in memory of the caller's; NULL after a sentence.  As src/kept.c finds it. */
static char *keptfile_place(void)
{
    const char *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
    if (config != NULL && config[0] == '/')
        return memory_format("%s/tagpool", config);
    if (home != NULL && home[0] == '/')
        return memory_format("%s/.config/tagpool", home);
    report("there is no place for settings: set HOME, or XDG_CONFIG_HOME, to a directory.");
    return NULL;
}

static int keptfile_complain(const char *what, const char *path, const char *why)
{
    report("cannot %s %s: %s.", what, path, why);
    return STATUS_FAILED;
}

static int keptfile_make_place(const char *place)
{
    char *path = memory_copy_text(place);
    int error = 0;
    for (char *at = path + 1; error == 0; at++) {
        char end = *at;
        if (end != '/' && end != '\0')
            continue;
        *at = '\0';
        error = mkdir(path, 0700) != 0 && errno != EEXIST ? errno : 0;
        *at = end;
        if (end == '\0')
            break;
    }
    free(path);
    return error == 0 ? 0 : keptfile_complain("make", place, strerror(error));
}

/* ---- lines ---- */

static char *keptfile_trim(char *from, char *to)
{
    while (from < to && (*from == ' ' || *from == '\t'))
        from++;
    while (to > from && (to[-1] == ' ' || to[-1] == '\t' || to[-1] == '\r'))
        to--;
    *to = '\0';
    return from;
}

bool keptfile_is_program(const char *name)
{
    return pattern_is_good(name, strlen(name)) && strchr(name, ':') == NULL && name[0] != '#' &&
           strchr(name, '/') == NULL;
}

/* Take a line's two parts; false with what is wrong. */
static bool keptfile_parse(struct keptfile_line *line, char *copy, char wrong[KEPTFILE_WHY])
{
    struct words words = {.leaks = false};
    char *colon = strchr(copy, ':');
    strcpy(wrong, "it has no program and colon");
    if (colon == NULL)
        return false;
    char *program = keptfile_trim(copy, colon);
    strcpy(wrong, "it begins with no program");
    if (!keptfile_is_program(program))
        return false;
    const char *text = keptfile_trim(colon + 1, colon + 1 + strlen(colon + 1));
    char word[WORDS_WRONG];
    if (!words_read(&words, text, word)) {
        snprintf(wrong, KEPTFILE_WHY, "'%s' is not understood", word);
        return false;
    }
    line->program = memory_copy_text(program);
    line->words = line->text + (text - copy);
    return true;
}

/* Words that are for the program end where the line's blanks begin. */
static void keptfile_add_line(struct keptfile *file, const char *text, size_t length)
{
    char wrong[KEPTFILE_WHY], clean[2 * KEPTFILE_WHY];
    struct keptfile_line line = {.text = memory_format("%.*s", (int)length, text)};
    char *copy = memory_copy_text(line.text);
    const char *first = line.text + strspn(line.text, " \t\r");
    bool is_plain = *first == '\0' || *first == '#';
    if (!is_plain && !keptfile_parse(&line, copy, wrong)) {
        label_clean(clean, sizeof(clean), wrong, strlen(wrong));
        report("line %zu of %s is passed over: %s.", file->count + 1, file->path, clean);
    }
    free(copy);
    file->lines = memory_grow(file->lines, file->count, sizeof(*file->lines));
    file->lines[file->count++] = line;
}

static void keptfile_add_lines(struct keptfile *file, const char *text, size_t length)
{
    for (size_t at = 0; at < length;) {
        const char *end = memchr(text + at, '\n', length - at);
        size_t line = end != NULL ? (size_t)(end - text) - at : length - at;
        keptfile_add_line(file, text + at, line);
        at += line + 1;
    }
}

/* ---- reading ---- */

/* L1: NULL, or what is wrong. */
static const char *keptfile_check(int fd)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return strerror(errno);
    if (!S_ISREG(st.st_mode))
        return "it is no regular file";
    if (st.st_uid != geteuid())
        return "it belongs to another user";
    return st.st_size > (off_t)KEPTFILE_SIZE ? "it is longer than 16 KiB" : NULL;
}

static int keptfile_read_from(struct keptfile *file, int fd)
{
    static char text[KEPTFILE_SIZE];
    size_t length = 0;
    const char *wrong = keptfile_check(fd);
    if (wrong != NULL)
        return keptfile_complain("use", file->path, wrong);
    for (ssize_t n = 1; n > 0 && length<sizeof(text); length += n> 0 ? (size_t)n : 0) {
        n = read(fd, text + length, sizeof(text) - length);
        if (n < 0)
            return keptfile_complain("read", file->path, strerror(errno));
    }
    keptfile_add_lines(file, text, length);
    return 0;
}

static int keptfile_read(struct keptfile *file)
{
    int fd = openat(file->directory, KEPTFILE_NAME, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return errno == ENOENT
                   ? 0
                   : keptfile_complain("use", file->path, errno == ELOOP ? "it is a symbolic link" : strerror(errno));
    int status = keptfile_read_from(file, fd);
    close(fd);
    return status;
}

static int keptfile_open_at(struct keptfile *file, const char *place, bool to_change)
{
    file->path = memory_format("%s/" KEPTFILE_NAME, place);
    int status = to_change ? keptfile_make_place(place) : 0;
    if (status != 0)
        return status;
    file->directory = open(place, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (file->directory < 0)
        return !to_change && (errno == ENOENT || errno == ENOTDIR) ? 0
                                                                   : keptfile_complain("use", place, strerror(errno));
    if (to_change && flock(file->directory, LOCK_EX) != 0) /* L2 */
        return keptfile_complain("lock", place, strerror(errno));
    return keptfile_read(file);
}

static int keptfile_open_any(struct keptfile *file, bool to_change)
{
    *file = (struct keptfile){.directory = -1};
    char *place = keptfile_place();
    int status = place != NULL ? keptfile_open_at(file, place, to_change) : STATUS_FAILED;
    free(place);
    return status;
}

int keptfile_open(struct keptfile *file)
{
    return keptfile_open_any(file, false);
}

int keptfile_open_to_change(struct keptfile *file)
{
    return keptfile_open_any(file, true);
}

static void keptfile_free_line(struct keptfile_line *line)
{
    free(line->text);
    free(line->program);
}

void keptfile_close(struct keptfile *file)
{
    for (size_t i = 0; i < file->count; i++)
        keptfile_free_line(&file->lines[i]);
    free(file->lines);
    free(file->path);
    if (file->directory >= 0)
        close(file->directory);
}

/* ---- asking ---- */

bool keptfile_get(const struct keptfile *file, const char *program, struct words *words)
{
    char wrong[WORDS_WRONG];
    bool is_found = false;
    *words = (struct words){.leaks = false};
    for (size_t i = 0; i < file->count; i++) {
        struct words more = *words;
        if (file->lines[i].program == NULL || strcmp(file->lines[i].program, program) != 0)
            continue;
        is_found = true;
        if (words_read(&more, file->lines[i].words, wrong))
            *words = more;
    }
    return is_found;
}

char *keptfile_text(const struct keptfile *file, const char *name)
{
    char *text = NULL;
    for (size_t i = 0; i < file->count; i++) {
        const struct keptfile_line *line = &file->lines[i];
        if (line->program == NULL || !pattern_fits(line->program, name))
            continue;
        char *longer = text == NULL ? memory_copy_text(line->words) : memory_format("%s ; %s", text, line->words);
        free(text);
        text = longer;
    }
    return text;
}

static bool keptfile_is_first(const struct keptfile *file, size_t at)
{
    for (size_t i = 0; i < at; i++)
        if (file->lines[i].program != NULL && strcmp(file->lines[i].program, file->lines[at].program) == 0)
            return false;
    return true;
}

const char *keptfile_program(const struct keptfile *file, size_t n)
{
    for (size_t i = 0; i < file->count; i++)
        if (file->lines[i].program != NULL && keptfile_is_first(file, i) && n-- == 0)
            return file->lines[i].program;
    return NULL;
}

/* ---- changing ---- */

static struct keptfile_line keptfile_make_line(const char *program, const struct words *words, size_t n)
{
    char *text = words_line(words, n);
    struct keptfile_line line = {.text = memory_format("%s: %s", program, text), .program = memory_copy_text(program)};
    line.words = line.text + strlen(program) + 2;
    free(text);
    return line;
}

static void keptfile_append(struct keptfile *file, struct keptfile_line line)
{
    file->lines = memory_grow(file->lines, file->count, sizeof(*file->lines));
    file->lines[file->count++] = line;
}

/* New lines stand where the first old one was, or at the end. */
void keptfile_put(struct keptfile *file, const char *program, const struct words *words)
{
    struct keptfile fresh = {.directory = -1};
    char *name = memory_copy_text(program); /* may be one of the lines' own */
    size_t left = words_line_count(words), count = left;
    for (size_t i = 0; i <= file->count; i++) {
        bool is_end = i == file->count;
        bool is_old = !is_end && file->lines[i].program != NULL && strcmp(file->lines[i].program, name) == 0;
        for (; (is_old || is_end) && left > 0; left--)
            keptfile_append(&fresh, keptfile_make_line(name, words, count - left));
        if (is_old)
            keptfile_free_line(&file->lines[i]);
        else if (!is_end)
            keptfile_append(&fresh, file->lines[i]);
    }
    free(file->lines);
    free(name);
    file->lines = fresh.lines;
    file->count = fresh.count;
}

/* ---- writing ---- */

static bool keptfile_write_all(int fd, const char *text, size_t length)
{
    for (ssize_t n; length > 0; text += n, length -= (size_t)n) {
        n = write(fd, text, length);
        if (n <= 0)
            return false;
    }
    return fsync(fd) == 0;
}

/* 0 or errno.  What another tool left half written goes. */
static int keptfile_replace(const struct keptfile *file, const char *text, size_t length)
{
    static const char fresh[] = KEPTFILE_NAME ".new";
    unlinkat(file->directory, fresh, 0);
    int fd = openat(file->directory, fresh, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return errno;
    int error = keptfile_write_all(fd, text, length) ? 0 : errno;
    close(fd);
    if (error == 0 && renameat(file->directory, fresh, file->directory, KEPTFILE_NAME) != 0)
        error = errno;
    if (error != 0)
        unlinkat(file->directory, fresh, 0);
    return error;
}

int keptfile_write(const struct keptfile *file)
{
    char *text = memory_copy_text("");
    for (size_t i = 0; i < file->count; i++) {
        char *longer = memory_format("%s%s\n", text, file->lines[i].text);
        free(text);
        text = longer;
    }
    size_t length = strlen(text);
    int error = length <= KEPTFILE_SIZE ? keptfile_replace(file, text, length) : EFBIG;
    free(text);
    if (error == 0)
        return 0;
    return keptfile_complain("write", file->path,
                             error == EFBIG ? "it would be longer than 16 KiB, and programs read no more"
                                            : strerror(error));
}
