#include "kept.h"
#include "os.h"
#include "text.h"

#include <string.h>

static char kept_text[TP_KEPT_SIZE + 1];

/* --- the file ------------------------------------------------------------------------------------------------- */

/* False: there is no place for it, or one with a name beyond all measure. */
static bool kept_path(char *path, size_t size)
{
    struct tp_text text = {.at = path, .size = size - 1};
    const char *config = tp_os_environment("XDG_CONFIG_HOME"), *home = tp_os_environment("HOME");
    if (config != NULL && config[0] == '/') {
        tp_text_add(&text, config);
    } else {
        if (home == NULL || home[0] != '/')
            return false;
        tp_text_add(&text, home);
        tp_text_add(&text, "/.config");
    }
    tp_text_add(&text, "/tagpool/settings");
    path[text.length] = '\0';
    return text.length < text.size;
}

/* The part of a path behind its last slash. */
static const char *kept_program(void)
{
    const char *path = tp_os_program_path();
    const char *slash = path != NULL ? strrchr(path, '/') : NULL;
    return slash != NULL ? slash + 1 : path;
}

/* --- lines ---------------------------------------------------------------------------------------------------- */

static char *kept_trim(char *from, char *to)
{
    while (from < to && (*from == ' ' || *from == '\t'))
        from++;
    while (to > from && (to[-1] == ' ' || to[-1] == '\t' || to[-1] == '\r'))
        to--;
    *to = '\0';
    return from;
}

/* The program's part and the words are parted by the first colon.  True: there was something to read for `program`. */
static bool kept_read_line(struct tp_settings *settings, const char *program, char *line, char *end)
{
    char *colon = memchr(line, ':', (size_t)(end - line));
    const char *pattern = colon != NULL ? kept_trim(line, colon) : "#";
    if (*pattern == '#' || !tp_settings_match(pattern, program))
        return false;
    struct tp_settings more = *settings;
    if (!tp_settings_read(&more, kept_trim(colon + 1, end)))
        return false;
    *settings = more;
    return true;
}

/* Where whole lines end: the last one of a file that is too long may be a part of one. */
static char *kept_end(int length)
{
    char *end = kept_text + (length > 0 ? length : 0);
    while (length == (int)TP_KEPT_SIZE && end > kept_text && end[-1] != '\n')
        end--;
    return end;
}

bool tp_kept_read(struct tp_settings *settings)
{
    char path[1024];
    const char *program = kept_program();
    if (program == NULL || tp_os_is_privileged() || !kept_path(path, sizeof(path)))
        return false;
    char *all = kept_end(tp_os_read_own_file(path, kept_text, TP_KEPT_SIZE));
    bool is_found = false;
    for (char *line = kept_text; line < all;) {
        char *end = memchr(line, '\n', (size_t)(all - line));
        end = end != NULL ? end : all;
        is_found |= kept_read_line(settings, program, line, end);
        line = end + 1;
    }
    return is_found;
}
