#include "symfile.h"
#include "memory.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct symfile **symfile_all;
static size_t symfile_count;

/* ---- files ---- */

static char *symfile_debuginfo_path; /* libdwfl's default: beside the file, and /usr/lib/debug */

/* Names are not worth a wait for a server on the network.  What we run is to find its environment as it was. */
static int symfile_find_debuginfo(Dwfl_Module *module, void **user_data, const char *name, Dwarf_Addr base,
                                  const char *file_name, const char *link_file, GElf_Word link_crc, char **found)
{
    const char *before = getenv("DEBUGINFOD_URLS");
    char *servers = before != NULL ? memory_copy_text(before) : NULL;
    unsetenv("DEBUGINFOD_URLS");
    int fd = dwfl_standard_find_debuginfo(module, user_data, name, base, file_name, link_file, link_crc, found);
    if (servers != NULL)
        setenv("DEBUGINFOD_URLS", servers, 1);
    free(servers);
    return fd;
}

static const Dwfl_Callbacks symfile_callbacks = {
    .find_debuginfo = symfile_find_debuginfo,
    .section_address = dwfl_offline_section_address,
    .debuginfo_path = &symfile_debuginfo_path,
};

static void symfile_load(struct symfile *file, const char *path, int fd)
{
    file->session = dwfl_begin(&symfile_callbacks);
    if (file->session == NULL) {
        close(fd);
        return;
    }
    file->module = dwfl_report_offline(file->session, "", path, fd);
    if (file->module == NULL)
        close(fd);
    dwfl_report_end(file->session, NULL, NULL);

    GElf_Addr bias = 0;
    if (file->module != NULL && dwfl_module_getelf(file->module, &bias) == NULL)
        file->module = NULL;
    file->bias = bias;
}

static struct symfile *symfile_add(const struct stat *st)
{
    struct symfile *file = memory_alloc(1, sizeof(*file));
    file->device = st->st_dev;
    file->inode = st->st_ino;
    symfile_all = memory_grow(symfile_all, symfile_count, sizeof(*symfile_all));
    symfile_all[symfile_count++] = file;
    return file;
}

struct symfile *symfile_find(const char *path)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct symfile *file = NULL;
    if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
        for (size_t i = 0; i < symfile_count && file == NULL; i++)
            if (symfile_all[i]->device == st.st_dev && symfile_all[i]->inode == st.st_ino)
                file = symfile_all[i];
        if (file == NULL) {
            file = symfile_add(&st);
            symfile_load(file, path, fd);
            fd = -1; /* it has been taken over or closed */
        }
    }
    if (fd >= 0)
        close(fd);
    return file;
}

/* ---- names ---- */

/* By the C++ library where there is one: the tools do not depend on it. */
char *symfile_demangle(const char *name)
{
    static char *(*demangle)(const char *name, char *buffer, size_t *size, int *status);
    static int is_sought;
    if (strncmp(name, "_Z", 2) != 0)
        return NULL;
    if (!is_sought) {
        void *library = dlopen("libstdc++.so.6", RTLD_LAZY | RTLD_LOCAL);
        void *found = library != NULL ? dlsym(library, "__cxa_demangle") : NULL;
        memcpy(&demangle, &found, sizeof(demangle));
        is_sought = 1;
    }
    int status = 0;
    return demangle != NULL ? demangle(name, NULL, NULL, &status) : NULL;
}
