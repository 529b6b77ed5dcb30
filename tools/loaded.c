#include "loaded.h"
#include "memory.h"
#include "procfs.h"

#include <elf.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

/* Program headers that are looked at. */
enum { LOADED_HEADERS = 64 };

/* ---- files ---- */

static int loaded_peek(pid_t pid, uint64_t at, void *to, size_t size)
{
    struct iovec here = {to, size}, there = {(void *)(uintptr_t)at, size};
    return process_vm_readv(pid, &here, 1, &there, 1, 0) == (ssize_t)size;
}

/* What the file says its first byte's address is; 0 where it does not. */
static uint64_t loaded_first_address(pid_t pid, uint64_t at)
{
    Elf64_Ehdr head;
    Elf64_Phdr headers[LOADED_HEADERS];
    if (!loaded_peek(pid, at, &head, sizeof(head)) || memcmp(head.e_ident, ELFMAG, SELFMAG) != 0 ||
        head.e_phnum > LOADED_HEADERS || head.e_phentsize != sizeof(headers[0]) ||
        !loaded_peek(pid, at + head.e_phoff, headers, head.e_phnum * sizeof(headers[0])))
        return 0;
    for (unsigned i = 0; i < head.e_phnum; i++)
        if (headers[i].p_type == PT_LOAD)
            return (headers[i].p_vaddr - headers[i].p_offset) & ~UINT64_C(4095);
    return 0;
}

static int loaded_is_same(const struct loaded *loaded, const char *path)
{
    return loaded->count > 0 && strcmp(loaded->files[loaded->count - 1].path, path) == 0;
}

/* "55d0c0a00000-55d0c0a01000 r--p 00000000 fe:00 247134     /usr/bin/cat"; mappings of a file follow each other. */
static void loaded_take_line(struct loaded *loaded, pid_t pid, const char *root, char *line)
{
    unsigned long from, to, offset;
    int end = 0;
    if (sscanf(line, "%lx-%lx %*s %lx %*s %*s %n", &from, &to, &offset, &end) < 3 || end == 0 || line[end] != '/')
        return;
    line[strcspn(line, "\n")] = '\0';
    char *path = memory_format("%s%s", root, line + end);
    if (loaded_is_same(loaded, path)) {
        loaded->files[loaded->count - 1].to = to;
        free(path);
        return;
    }
    loaded->files = memory_grow(loaded->files, loaded->count, sizeof(*loaded->files));
    uint64_t base = from - offset - (offset == 0 ? loaded_first_address(pid, from) : 0);
    loaded->files[loaded->count++] = (struct loaded_file){from, to, base, path};
}

/* A process in a container has its files elsewhere. */
static void loaded_find_root(pid_t pid, char root[64])
{
    root[0] = '\0';
    if (procfs_namespace(pid, "mnt") != procfs_namespace(getpid(), "mnt"))
        snprintf(root, 64, "/proc/%d/root", (int)pid);
}

void loaded_read(struct loaded *loaded, pid_t pid)
{
    char path[64], root[64], *line = NULL;
    size_t size = 0;
    *loaded = (struct loaded){.count = 0};
    snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return;
    loaded_find_root(pid, root);
    while (getline(&line, &size, file) > 0)
        loaded_take_line(loaded, pid, root, line);
    free(line);
    fclose(file);
}

void loaded_free(struct loaded *loaded)
{
    for (size_t i = 0; i < loaded->count; i++)
        free(loaded->files[i].path);
    free(loaded->files);
}

/* ---- frames ---- */

static const struct loaded_file *loaded_find(const struct loaded *loaded, uint64_t pc)
{
    for (size_t i = 0; i < loaded->count; i++)
        if (pc >= loaded->files[i].from && pc < loaded->files[i].to)
            return &loaded->files[i];
    return NULL;
}

static uint32_t loaded_module(struct reportfile_record *record, const struct loaded_file *file)
{
    for (size_t i = 0; i < record->module_count; i++)
        if (record->modules[i].path == file->path)
            return (uint32_t)i;
    if (record->module_count == REPORTFILE_MODULES)
        return TAGPOOL_REPORT_NO_MODULE;
    uint32_t index = (uint32_t)record->module_count++;
    record->modules[index] = (struct reportfile_module){index, file->base, file->path};
    return index;
}

void loaded_put_stack(const struct loaded *loaded, struct reportfile_record *record, struct reportfile_stack *stack,
                      const uintptr_t *frames, unsigned count)
{
    stack->count = count < TAGPOOL_REPORT_FRAMES ? count : TAGPOOL_REPORT_FRAMES;
    for (unsigned i = 0; i < stack->count; i++) {
        const struct loaded_file *file = loaded_find(loaded, frames[i] - 1);
        uint32_t module = file != NULL ? loaded_module(record, file) : TAGPOOL_REPORT_NO_MODULE;
        stack->frames[i] = (struct tagpool_report_frame){
            .pc = frames[i],
            .offset = module != TAGPOOL_REPORT_NO_MODULE ? frames[i] - file->base : frames[i],
            .module = module,
        };
    }
}
