#include "symbol.h"
#include "label.h"
#include "memory.h"
#include "symfile.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Longer names, from C++ templates, are cut. */
#define SYMBOL_MAX 512

/* A module's name and what it was found to be: NULL where there is no such file. */
struct symbol_module {
    char *name;
    struct symfile *file;
};

struct symbol_process {
    pid_t pid;
    char *program;
    int is_read;
    char **paths; /* of the files that are mapped */
    size_t path_count;
    struct symbol_module *modules; /* that were asked for */
    size_t module_count;
};

/* ---- what a process has mapped ---- */

static void symbol_add_path(struct symbol_process *process, const char *path)
{
    if (process->path_count > 0 && strcmp(process->paths[process->path_count - 1], path) == 0)
        return;
    process->paths = memory_grow(process->paths, process->path_count, sizeof(*process->paths));
    process->paths[process->path_count++] = memory_copy_text(path);
}

static void symbol_read_paths(struct symbol_process *process)
{
    char path[64], *line = NULL;
    size_t size = 0;
    process->is_read = 1;
    snprintf(path, sizeof(path), "/proc/%d/maps", (int)process->pid);
    FILE *maps = fopen(path, "re");
    if (maps == NULL)
        return;
    while (getline(&line, &size, maps) > 0) {
        char *file = strchr(line, '/'); /* no field before the path has a slash */
        if (file == NULL)
            continue;
        file[strcspn(file, "\n")] = '\0';
        symbol_add_path(process, file);
    }
    free(line);
    fclose(maps);
}

/* The file called `name` that lies beside a mapped one and is that one, by name or by a link. */
static struct symfile *symbol_find_beside(pid_t pid, const char *mapped, const char *name)
{
    struct stat of_mapped, of_named;
    int directory = (int)(strrchr(mapped, '/') + 1 - mapped);
    char *mapped_path = memory_format("/proc/%d/root%s", (int)pid, mapped);
    char *named_path = memory_format("/proc/%d/root%.*s%s", (int)pid, directory, mapped, name);
    struct symfile *file = NULL;
    if (stat(named_path, &of_named) == 0 && stat(mapped_path, &of_mapped) == 0 &&
        of_named.st_dev == of_mapped.st_dev && of_named.st_ino == of_mapped.st_ino)
        file = symfile_find(mapped_path);
    free(mapped_path);
    free(named_path);
    return file;
}

static struct symfile *symbol_find_file(struct symbol_process *process, const char *name)
{
    struct symfile *file = NULL;
    if (!process->is_read)
        symbol_read_paths(process);
    for (size_t i = 0; i < process->path_count && file == NULL; i++)
        file = symbol_find_beside(process->pid, process->paths[i], name);
    if (file == NULL && strcmp(name, process->program) == 0) {
        char *executable = memory_format("/proc/%d/exe", (int)process->pid);
        file = symfile_find(executable);
        free(executable);
    }
    return file;
}

static struct symfile *symbol_find_module(struct symbol_process *process, const char *name)
{
    for (size_t i = 0; i < process->module_count; i++)
        if (strcmp(process->modules[i].name, name) == 0)
            return process->modules[i].file;
    struct symfile *file = symbol_find_file(process, name);
    process->modules = memory_grow(process->modules, process->module_count, sizeof(*process->modules));
    process->modules[process->module_count++] =
        (struct symbol_module){.name = memory_copy_text(name), .file = file};
    return file;
}

/* ---- names ---- */

static char *symbol_source(const struct symfile *file, uint64_t address)
{
    int line = 0;
    Dwfl_Line *place = dwfl_module_getsrc(file->module, address);
    const char *path = place != NULL ? dwfl_lineinfo(place, NULL, &line, NULL, NULL, NULL) : NULL;
    if (path == NULL)
        return memory_copy_text("");
    const char *slash = strrchr(path, '/');
    return memory_format(" (%s:%d)", slash != NULL ? slash + 1 : path, line);
}

static char *symbol_describe(const struct symfile *file, uint64_t offset)
{
    uint64_t address = file->bias + offset - 1;
    GElf_Off into = 0;
    GElf_Sym symbol;
    const char *name = dwfl_module_addrinfo(file->module, address, &into, &symbol, NULL, NULL, NULL);
    if (name == NULL)
        return NULL;
    char *demangled = symfile_demangle(name);
    char *source = symbol_source(file, address);
    char *text = memory_format("%.400s+0x%llx%s", demangled != NULL ? demangled : name,
                               (unsigned long long)into + 1, source);
    char *clean = memory_alloc(SYMBOL_MAX, 1);
    label_clean(clean, SYMBOL_MAX, text, strlen(text));
    free(text);
    free(source);
    free(demangled);
    return clean;
}

char *symbol_name(struct symbol_process *process, const char *site)
{
    const char *plus = strrchr(site, '+');
    if (plus == NULL || strncmp(plus, "+0x", 3) != 0 || memchr(site, '/', (size_t)(plus - site)) != NULL)
        return NULL;
    char *end;
    uint64_t offset = strtoull(plus + 3, &end, 16);
    if (*end != '\0' || offset == 0)
        return NULL;
    char *name = memory_format("%.*s", (int)(plus - site), site);
    struct symfile *file = symbol_find_module(process, name);
    free(name);
    return file != NULL && file->module != NULL ? symbol_describe(file, offset) : NULL;
}

struct symbol_process *symbol_open(pid_t pid, const char *program)
{
    struct symbol_process *process = memory_alloc(1, sizeof(*process));
    process->pid = pid;
    process->program = memory_copy_text(program);
    return process;
}

void symbol_close(struct symbol_process *process)
{
    for (size_t i = 0; i < process->path_count; i++)
        free(process->paths[i]);
    for (size_t i = 0; i < process->module_count; i++)
        free(process->modules[i].name);
    free(process->paths);
    free(process->modules);
    free(process->program);
    free(process);
}
