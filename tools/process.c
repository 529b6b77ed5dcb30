#include "process.h"
#include "memory.h"
#include "procfs.h"
#include "report.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A process in another PID namespace: its file names it by a PID that is not ours. */
struct process_alias {
    pid_t pid;
    pid_t inner_pid;
};

/* A dead process's file that says it was still running. */
struct process_killed {
    char *name;
    struct timespec modified;
};

struct process_place {
    dev_t device;
    ino_t inode;
};

/* One search. */
struct process_search {
    struct process_list *list;
    pid_t only;
    pid_t place_of; /* whose directory is searched now, as in struct process */
    uint64_t pid_namespace; /* ours; 0 where there is no /proc */
    uint64_t mount_namespace;
    struct process_alias *aliases;
    size_t alias_count;
    pid_t *rooted; /* processes whose mount namespace is not ours, one a namespace */
    uint64_t *rooted_namespaces;
    size_t rooted_count;
    struct process_place *places; /* directories that were searched */
    size_t place_count;
    struct process_killed *killed;
    size_t killed_count;
};

const char *process_directory(void)
{
    const char *directory = getenv("TAGPOOL_SEGMENT_DIR");
    return directory != NULL && directory[0] != '\0' ? directory : TAGPOOL_SEGMENT_DIR;
}

static int process_directory_is_default(void)
{
    return strcmp(process_directory(), TAGPOOL_SEGMENT_DIR) == 0;
}

/* ---- other namespaces ---- */

static void process_add_alias(struct process_search *search, pid_t pid)
{
    struct procfs_status status;
    if (procfs_status(pid, &status) != 0)
        return;
    search->aliases = memory_grow(search->aliases, search->alias_count, sizeof(*search->aliases));
    search->aliases[search->alias_count++] = (struct process_alias){.pid = pid, .inner_pid = status.inner_pid};
}

static void process_add_rooted(struct process_search *search, pid_t pid, uint64_t mount_namespace)
{
    for (size_t i = 0; i < search->rooted_count; i++)
        if (search->rooted_namespaces[i] == mount_namespace)
            return;
    size_t n = search->rooted_count++;
    search->rooted = memory_grow(search->rooted, n, sizeof(*search->rooted));
    search->rooted_namespaces = memory_grow(search->rooted_namespaces, n, sizeof(*search->rooted_namespaces));
    search->rooted[n] = pid;
    search->rooted_namespaces[n] = mount_namespace;
}

/* Where we may not look (0), the process is not ours and neither are its accounts. */
static void process_survey(pid_t pid, void *context)
{
    struct process_search *search = context;
    uint64_t pids = procfs_namespace(pid, "pid");
    if (pids == 0)
        return;
    if (pids != search->pid_namespace)
        process_add_alias(search, pid);
    uint64_t mounts = procfs_namespace(pid, "mnt");
    if (mounts != 0 && mounts != search->mount_namespace && process_directory_is_default())
        process_add_rooted(search, pid, mounts);
}

/* ---- from a file to its process ---- */

/*
 * G5: a process that began later has only inherited the number, and one that does not map the file has executed
 * another program since.  Where we may not look at its mappings, the number has to do.
 */
static int process_made_file(pid_t pid, const struct segfile *file)
{
    return procfs_start_ns(pid) <= file->header.created_ns && procfs_maps_file(pid, file->device, file->inode) != 0;
}

/*
 * Accounts must not be forged: root looks at everybody's files, and anybody can name any process in a file.  So the
 * file's owner must be the process's user, or root for a process that gave up root later.
 */
static int process_may_own(uid_t owner, pid_t pid)
{
    struct procfs_status status;
    return owner == 0 || (procfs_status(pid, &status) == 0 && status.uid == owner) || owner == geteuid();
}

/* The living process that a file is about, 0 when there is none that we see. */
static pid_t process_of_file(const struct process_search *search, const struct segfile *file)
{
    pid_t pid = (pid_t)file->header.pid;
    if (pid <= 0)
        return 0;
    for (size_t i = 0; i < search->alias_count; i++)
        if (search->aliases[i].inner_pid == pid && process_made_file(search->aliases[i].pid, file))
            return search->aliases[i].pid;
    return process_made_file(pid, file) ? pid : 0;
}

static int process_is_later(const struct timespec *a, const struct timespec *b)
{
    return a->tv_sec != b->tv_sec ? a->tv_sec > b->tv_sec : a->tv_nsec > b->tv_nsec;
}

static void process_forget(struct process *process)
{
    segfile_close(&process->file);
    free(process->name);
}

/* Takes the process over.  Of two files of one process the later one counts: it has executed a new program. */
static void process_add(struct process_list *list, struct process *process)
{
    for (size_t i = 0; i < list->count; i++) {
        struct process *other = &list->items[i];
        if (other->pid != process->pid)
            continue;
        bool is_later = process_is_later(&process->file.modified, &other->file.modified);
        process_forget(is_later ? other : process);
        if (is_later)
            *other = *process;
        return;
    }
    list->items = memory_grow(list->items, list->count, sizeof(*list->items));
    list->items[list->count++] = *process;
}

static void process_add_problem(struct process_list *list, const char *name, pid_t pid, int error)
{
    list->problems = memory_grow(list->problems, list->problem_count, sizeof(*list->problems));
    list->problems[list->problem_count++] =
        (struct process_problem){.name = memory_copy_text(name), .pid = pid, .error = error};
}

/* ---- the dead ---- */

static void process_add_killed(struct process_search *search, const char *name, const struct segfile *file)
{
    search->killed = memory_grow(search->killed, search->killed_count, sizeof(*search->killed));
    search->killed[search->killed_count++] =
        (struct process_killed){.name = memory_copy_text(name), .modified = file->modified};
}

/* The process may be one that we do not see, in another PID namespace: the file itself knows. */
static void process_reap(struct process_search *search, int directory, const char *name, const struct segfile *file)
{
    if (file->owner != geteuid() || segfile_is_in_use(directory, name))
        return;
    if (file->header.state == TAGPOOL_SEGMENT_RUNNING)
        process_add_killed(search, name, file);
    else
        unlinkat(directory, name, 0);
}

static int process_compare_killed(const void *a, const void *b)
{
    const struct process_killed *x = a, *y = b;
    return process_is_later(&y->modified, &x->modified) - process_is_later(&x->modified, &y->modified);
}

static void process_reap_killed(struct process_search *search, int directory)
{
    if (search->killed_count > 1)
        qsort(search->killed, search->killed_count, sizeof(*search->killed), process_compare_killed);
    for (size_t i = 0; i < search->killed_count; i++) {
        if (i >= PROCESS_KEEP_KILLED)
            unlinkat(directory, search->killed[i].name, 0);
        free(search->killed[i].name);
    }
    search->killed_count = 0;
}

/* ---- searching a directory ---- */

/* "tagpool.UID.PID" or "tagpool.UID.PID.NONCE": the PID, or 0 when this is no name of a segment. */
static pid_t process_parse_name(const char *name)
{
    unsigned uid;
    int pid, end = 0;
    if (sscanf(name, TAGPOOL_SEGMENT_PREFIX "%u.%d%n", &uid, &pid, &end) != 2 || pid <= 0)
        return 0;
    return name[end] == '\0' || name[end] == '.' ? pid : 0;
}

static void process_take_file(struct process_search *search, int directory, const char *name, int is_own_place)
{
    struct segfile file;
    pid_t named = process_parse_name(name);
    if (named == 0)
        return;
    int error = segfile_open(&file, directory, name);
    if (error != 0) {
        if (error != -ENOENT)
            process_add_problem(search->list, name, named, error);
        return;
    }
    pid_t pid = process_of_file(search, &file);
    if (pid != 0 && (search->only == 0 || search->only == pid) && process_may_own(file.owner, pid)) {
        struct process process = {pid, file, memory_copy_text(name), search->place_of};
        process_add(search->list, &process);
        return;
    }
    if (pid == 0 && is_own_place)
        process_reap(search, directory, name, &file);
    segfile_close(&file);
}

/* True when this directory is new to the search. */
static int process_enter_place(struct process_search *search, int directory)
{
    struct stat st;
    if (fstat(directory, &st) != 0)
        return 0;
    for (size_t i = 0; i < search->place_count; i++)
        if (search->places[i].device == st.st_dev && search->places[i].inode == st.st_ino)
            return 0;
    search->places = memory_grow(search->places, search->place_count, sizeof(*search->places));
    search->places[search->place_count++] = (struct process_place){.device = st.st_dev, .inode = st.st_ino};
    return 1;
}

/* Takes the descriptor over. */
static void process_search_directory(struct process_search *search, int directory, int is_own_place)
{
    DIR *entries = process_enter_place(search, directory) ? fdopendir(directory) : NULL;
    if (entries == NULL) {
        close(directory);
        return;
    }
    for (struct dirent *entry; (entry = readdir(entries)) != NULL;)
        process_take_file(search, directory, entry->d_name, is_own_place);
    process_reap_killed(search, directory);
    closedir(entries);
}

/* /dev/shm of another mount namespace, step by step so that no link in there leads out of it. */
static int process_open_rooted(pid_t pid)
{
    static const char *const steps[] = {"dev", "shm"};
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/root", (int)pid);
    int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]) && fd >= 0; i++) {
        int next = openat(fd, steps[i], O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
        close(fd);
        fd = next;
    }
    return fd;
}

static void process_search_free(struct process_search *search)
{
    free(search->aliases);
    free(search->rooted);
    free(search->rooted_namespaces);
    free(search->places);
    free(search->killed);
}

int process_find(struct process_list *list, pid_t pid)
{
    memset(list, 0, sizeof(*list));
    int directory = open(process_directory(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0)
        return -errno;

    struct process_search search = {
        .list = list,
        .only = pid,
        .pid_namespace = procfs_namespace(getpid(), "pid"),
        .mount_namespace = procfs_namespace(getpid(), "mnt"),
    };
    if (pid != 0)
        process_survey(pid, &search);
    else
        procfs_each(process_survey, &search);

    process_search_directory(&search, directory, 1);
    for (size_t i = 0; i < search.rooted_count; i++) {
        int rooted = process_open_rooted(search.rooted[i]);
        search.place_of = search.rooted[i];
        if (rooted >= 0)
            process_search_directory(&search, rooted, 0);
    }
    process_search_free(&search);
    return 0;
}

void process_list_free(struct process_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        process_forget(&list->items[i]);
    for (size_t i = 0; i < list->problem_count; i++)
        free(list->problems[i].name);
    free(list->items);
    free(list->problems);
    memset(list, 0, sizeof(*list));
}

/* ---- writing ---- */

/* The same file, or one that took its name since then. */
static int process_check_same(int fd, const struct segfile *file)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return -errno;
    return st.st_dev == file->device && st.st_ino == file->inode && st.st_size == (off_t)file->size ? 0 : -ESRCH;
}

int process_open_for_writing(const struct process *process)
{
    int directory = process->rooted != 0 ? process_open_rooted(process->rooted)
                                         : open(process_directory(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0)
        return -ESRCH;
    int fd = openat(directory, process->name, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    int error = fd < 0 ? -errno : process_check_same(fd, &process->file);
    close(directory);
    if (error != 0 && fd >= 0)
        close(fd);
    return error == 0 ? fd : error == -ENOENT ? -ESRCH : error;
}

/* ---- why not ---- */

static const char *process_user_name(uid_t uid)
{
    static char text[32];
    struct passwd *user = getpwuid(uid);
    if (user != NULL)
        return user->pw_name;
    snprintf(text, sizeof(text), "%u", (unsigned)uid);
    return text;
}

void process_explain(const struct process_list *list, pid_t pid)
{
    struct procfs_status status;
    if (kill(pid, 0) != 0 && errno == ESRCH) {
        report("there is no process %d.", (int)pid);
        return;
    }
    if (geteuid() != 0 && procfs_status(pid, &status) == 0 && status.uid != geteuid()) {
        report("process %d is not yours: it belongs to %s, so only that user and root can read its accounts.",
               (int)pid, process_user_name(status.uid));
        return;
    }
    for (size_t i = 0; i < list->problem_count; i++) {
        if (list->problems[i].pid != pid)
            continue;
        report("the accounts of process %d cannot be read: %s (%s/%s).", (int)pid,
               segfile_error_text(list->problems[i].error), process_directory(), list->problems[i].name);
        return;
    }
    if (procfs_maps_library(pid, "libtagpool") > 0)
        report("process %d runs under tagpool, but has no accounts yet, or none that could be shown: %s may be full or"
               " read-only, or the size of its files limited (ulimit -f).", (int)pid, process_directory());
    else
        report("process %d does not run under tagpool: start it by 'tagpool run'.", (int)pid);
}

void process_explain_none(const struct process_list *list)
{
    for (size_t i = 0; i < list->problem_count; i++) {
        const struct process_problem *problem = &list->problems[i];
        if (problem->error == -EPERM || problem->error == -EACCES) /* it does not concern this user */
            continue;
        report("no process can be shown, and the accounts of process %d cannot be read: %s (%s/%s).",
               (int)problem->pid, segfile_error_text(problem->error), process_directory(), problem->name);
        return;
    }
    report("no process of yours runs under tagpool: start one by 'tagpool run PROGRAM'.");
}
