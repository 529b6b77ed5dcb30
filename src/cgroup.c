#include "cgroup.h"
#include "os.h"
#include "text.h"

#include <string.h>

#define CGROUP_PATH 512

/* Version 1 says "no limit" by a number near the largest one. */
#define CGROUP_NO_LIMIT (UINT64_C(1) << 62)

const struct tp_cgroup_paths tp_cgroup_system = {"/proc/self/cgroup", "/sys/fs/cgroup", "/sys/fs/cgroup/memory"};

/* The same facts have other names in the two versions. */
struct cgroup_version {
    const char *limit;
    const char *used;
    const char *cold; /* a line of memory.stat */
};
static const struct cgroup_version cgroup_versions[] = {
    {"memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file "},
    {"memory.max", "memory.current", "inactive_file "},
};

/* --- files ---------------------------------------------------------------------------------------------------- */

/* A small text file; false when it cannot be read. */
static bool cgroup_read_file(const char *directory, const char *name, char *text, size_t size)
{
    char path[CGROUP_PATH];
    struct tp_text at = {.at = path, .size = sizeof(path) - 1};
    tp_text_add(&at, directory);
    if (name[0] != '\0')
        tp_text_char(&at, '/');
    tp_text_add(&at, name);
    path[at.length] = '\0';
    int length = tp_os_read_file(path, text, size - 1);
    text[length > 0 ? length : 0] = '\0';
    return length > 0;
}

/* "max" is no number, and so no limit. */
static uint64_t cgroup_number(const char *text)
{
    uint64_t number = 0;
    if (*text < '0' || *text > '9')
        return UINT64_MAX;
    for (; *text >= '0' && *text <= '9'; text++)
        number = number * 10 + (uint64_t)(*text - '0');
    return number < CGROUP_NO_LIMIT ? number : UINT64_MAX;
}

static uint64_t cgroup_read_number(const char *directory, const char *name)
{
    char text[32];
    return cgroup_read_file(directory, name, text, sizeof(text)) ? cgroup_number(text) : UINT64_MAX;
}

/* The line that begins with `key`, behind it; NULL: none. */
static const char *cgroup_find_line(const char *text, const char *key)
{
    while (text != NULL && strncmp(text, key, strlen(key)) != 0) {
        text = strchr(text, '\n');
        text = text != NULL ? text + 1 : NULL;
    }
    return text != NULL ? text + strlen(key) : NULL;
}

static uint64_t cgroup_read_cold(const char *directory, const struct cgroup_version *version)
{
    char text[4096];
    if (!cgroup_read_file(directory, "memory.stat", text, sizeof(text)))
        return 0;
    const char *line = cgroup_find_line(text, version->cold);
    uint64_t cold = line != NULL ? cgroup_number(line) : 0;
    return cold != UINT64_MAX ? cold : 0;
}

/* --- groups --------------------------------------------------------------------------------------------------- */

static struct tp_cgroup_memory cgroup_read_level(const char *directory, const struct cgroup_version *version)
{
    struct tp_cgroup_memory memory = {.limit = cgroup_read_number(directory, version->limit)};
    if (memory.limit == UINT64_MAX)
        return memory;
    uint64_t used = cgroup_read_number(directory, version->used);
    uint64_t cold = cgroup_read_cold(directory, version);
    memory.used = used == UINT64_MAX || used < cold ? 0 : used - cold;
    return memory;
}

static uint64_t cgroup_room(const struct tp_cgroup_memory *memory)
{
    return memory->limit > memory->used ? memory->limit - memory->used : 0;
}

/* The process's group and all above it.  In a container the path may not be there, and the mount is the group. */
static struct tp_cgroup_memory cgroup_read_levels(const char *mount, const char *path,
                                                  const struct cgroup_version *version)
{
    char directory[CGROUP_PATH];
    struct tp_text at = {.at = directory, .size = sizeof(directory) - 1};
    struct tp_cgroup_memory least = {.limit = UINT64_MAX};
    tp_text_add(&at, mount);
    size_t length = at.length;
    for (; *path != '\0' && *path != '\n'; path++)
        tp_text_char(&at, *path);
    directory[at.length] = '\0';
    while (strlen(directory) >= length) {
        struct tp_cgroup_memory level = cgroup_read_level(directory, version);
        if (cgroup_room(&level) < cgroup_room(&least))
            least = level;
        char *slash = strrchr(directory, '/');
        if (slash == NULL)
            break;
        *slash = '\0';
    }
    return least;
}

/* Behind the second colon of the line "N:memory:/path"; NULL: there is none. */
static const char *cgroup_path_v1(const char *text)
{
    for (; text != NULL; text = strchr(text, '\n'), text = text != NULL ? text + 1 : NULL) {
        const char *controllers = strchr(text, ':');
        if (controllers != NULL && strncmp(controllers, ":memory:", 8) == 0)
            return controllers + 8;
    }
    return NULL;
}

struct tp_cgroup_memory tp_cgroup_read(const struct tp_cgroup_paths *paths)
{
    char text[4096];
    struct tp_cgroup_memory none = {.limit = UINT64_MAX};
    if (!cgroup_read_file(paths->self, "", text, sizeof(text)))
        return none;
    const char *path = cgroup_path_v1(text);
    if (path != NULL)
        return cgroup_read_levels(paths->mount1, path, &cgroup_versions[0]);
    path = cgroup_find_line(text, "0::");
    return path != NULL ? cgroup_read_levels(paths->mount2, path, &cgroup_versions[1]) : none;
}
