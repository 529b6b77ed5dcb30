#include "elf_check.h"
#include "report.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

/* A script's interpreter may be a script; the kernel goes about as far. */
#define ELF_CHECK_SCRIPTS 4

/* What decides, from a file's headers. */
struct elf_facts {
    unsigned char class;
    unsigned char data;
    uint16_t machine;
    uint16_t type;
    int has_interpreter;
    char interpreter[PATH_MAX]; /* the loader */
};

static int elf_refuse(int status, char why[ELF_CHECK_TEXT], const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static int elf_refuse(int status, char why[ELF_CHECK_TEXT], const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(why, ELF_CHECK_TEXT, format, args);
    va_end(args);
    return status;
}

/* ---- finding ---- */

static int elf_is_program(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0;
}

static int elf_check_path(const char *path, char why[ELF_CHECK_TEXT])
{
    struct stat st;
    if (stat(path, &st) != 0)
        return elf_refuse(errno == ENOENT || errno == ENOTDIR ? STATUS_NOT_FOUND : STATUS_CANNOT_RUN, why,
                          "cannot run %s: %s.", path, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return elf_refuse(STATUS_CANNOT_RUN, why, "cannot run %s: it is no file.", path);
    if (access(path, X_OK) != 0)
        return elf_refuse(STATUS_CANNOT_RUN, why, "cannot run %s: it is not executable by you.", path);
    return 0;
}

int elf_check_find(const char *program, char path[PATH_MAX], char why[ELF_CHECK_TEXT])
{
    if (strlen(program) >= PATH_MAX)
        return elf_refuse(STATUS_NOT_FOUND, why, "the program's name is too long.");
    if (strchr(program, '/') != NULL) {
        strcpy(path, program);
        return elf_check_path(path, why);
    }
    const char *list = getenv("PATH");
    int found_status = STATUS_NOT_FOUND;
    for (const char *at = list != NULL ? list : "/bin:/usr/bin"; program[0] != '\0'; at++) {
        int length = (int)strcspn(at, ":");
        /* An empty part of PATH is the current directory. */
        int size = snprintf(path, PATH_MAX, "%.*s%s%s", length, at, length != 0 ? "/" : "./", program);
        if (size < PATH_MAX && elf_is_program(path))
            return 0;
        if (size < PATH_MAX && access(path, F_OK) == 0 && found_status == STATUS_NOT_FOUND)
            found_status = elf_check_path(path, why);
        at += length;
        if (*at == '\0')
            break;
    }
    if (found_status == STATUS_NOT_FOUND)
        return elf_refuse(STATUS_NOT_FOUND, why, "there is no program %s in PATH.", program);
    return found_status;
}

/* ---- ELF headers ---- */

/* Both classes are read by their own header, so that a program for another machine can be named as such. */
static int elf_read_interpreter(int fd, const Elf64_Ehdr *header, struct elf_facts *facts)
{
    for (unsigned i = 0; i < header->e_phnum; i++) {
        Elf64_Phdr part;
        off_t at = (off_t)(header->e_phoff + (uint64_t)i * header->e_phentsize);
        if (pread(fd, &part, sizeof(part), at) != (ssize_t)sizeof(part))
            return -1;
        if (part.p_type != PT_INTERP)
            continue;
        size_t size = part.p_filesz < PATH_MAX ? part.p_filesz : PATH_MAX - 1;
        ssize_t length = pread(fd, facts->interpreter, size, (off_t)part.p_offset);
        facts->interpreter[length > 0 ? length : 0] = '\0';
        facts->has_interpreter = 1;
        return 0;
    }
    return 0;
}

/* 1: an ELF file, 0: none, -1: a broken one. */
static int elf_read(int fd, struct elf_facts *facts)
{
    Elf64_Ehdr header; /* the first 20 bytes have the same meaning in both classes */
    memset(facts, 0, sizeof(*facts));
    memset(&header, 0, sizeof(header));
    ssize_t length = pread(fd, &header, sizeof(header), 0);
    if (length < SELFMAG || memcmp(header.e_ident, ELFMAG, SELFMAG) != 0)
        return 0;
    facts->class = header.e_ident[EI_CLASS];
    facts->data = header.e_ident[EI_DATA];
    facts->machine = header.e_machine;
    facts->type = header.e_type;
    if (facts->class != ELFCLASS64)
        return 1;
    if (length < (ssize_t)sizeof(header) || header.e_phentsize < sizeof(Elf64_Phdr))
        return -1;
    return elf_read_interpreter(fd, &header, facts) == 0 ? 1 : -1;
}

/* This very program is the model: what it needs of the system is what the module needs. */
static int elf_read_own(struct elf_facts *facts)
{
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    int result = fd >= 0 ? elf_read(fd, facts) : 0;
    if (fd >= 0)
        close(fd);
    return result == 1;
}

static const char *elf_last_part(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

static const char *elf_machine_name(uint16_t machine)
{
    static const struct {
        uint16_t machine;
        const char *name;
    } rows[] = {
        {EM_X86_64, "x86-64"}, {EM_386, "i386"},   {EM_AARCH64, "aarch64"}, {EM_ARM, "arm"},
        {EM_RISCV, "riscv"},   {EM_PPC64, "ppc64"}, {EM_S390, "s390"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (rows[i].machine == machine)
            return rows[i].name;
    return "unknown";
}

static int elf_check_facts(const char *path, const struct elf_facts *facts, char why[ELF_CHECK_TEXT])
{
    struct elf_facts own;
    int know_own = elf_read_own(&own);
    if (know_own && (facts->class != own.class || facts->data != own.data || facts->machine != own.machine))
        return elf_refuse(STATUS_CANNOT_RUN, why,
                          "cannot run %s: it is a %s-bit program for %s machines, this tagpool is for %s-bit %s.", path,
                          facts->class == ELFCLASS32 ? "32" : "64", elf_machine_name(facts->machine),
                          own.class == ELFCLASS32 ? "32" : "64", elf_machine_name(own.machine));
    if (facts->type != ET_EXEC && facts->type != ET_DYN)
        return elf_refuse(STATUS_CANNOT_RUN, why, "cannot run %s: it is an ELF file, but no program.", path);
    if (!facts->has_interpreter)
        return elf_refuse(STATUS_CANNOT_RUN, why,
                          "cannot run %s: it is statically linked, so its malloc cannot be replaced.", path);
    if (know_own && strcmp(elf_last_part(facts->interpreter), elf_last_part(own.interpreter)) != 0)
        return elf_refuse(STATUS_CANNOT_RUN, why, "cannot run %s: its loader %s is that of another C library than %s.",
                          path, facts->interpreter, own.interpreter);
    return 0;
}

/* ---- privileges ---- */

/* The loader drops our LD_PRELOAD where executing the file would change who we are. */
static int elf_check_privileges(const char *path, int fd, char why[ELF_CHECK_TEXT])
{
    static const char advice[] = "the system ignores LD_PRELOAD for it, so its malloc cannot be replaced";
    struct stat st;
    if (fstat(fd, &st) != 0)
        return elf_refuse(STATUS_CANNOT_RUN, why, "cannot run %s: %s.", path, strerror(errno));
    if ((st.st_mode & S_ISUID) != 0 && st.st_uid != getuid())
        return elf_refuse(STATUS_CANNOT_RUN, why, "cannot run %s: it is set-user-ID, and %s.", path, advice);
    if ((st.st_mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP) && st.st_gid != getgid())
        return elf_refuse(STATUS_CANNOT_RUN, why, "cannot run %s: it is set-group-ID, and %s.", path, advice);
    if (getuid() != 0 && fgetxattr(fd, "security.capability", NULL, 0) > 0)
        return elf_refuse(STATUS_CANNOT_RUN, why, "cannot run %s: it has file capabilities, and %s.", path, advice);
    return 0;
}

/* ---- scripts ---- */

/* The interpreter that a "#!" line names; 0 when there is no such line. */
static int elf_read_script(int fd, char interpreter[PATH_MAX])
{
    char line[PATH_MAX];
    ssize_t length = pread(fd, line, sizeof(line) - 1, 0);
    if (length < 2 || line[0] != '#' || line[1] != '!')
        return 0;
    line[length] = '\0';
    line[strcspn(line, "\n")] = '\0';
    const char *start = line + 2 + strspn(line + 2, " \t");
    size_t size = strcspn(start, " \t");
    memcpy(interpreter, start, size);
    interpreter[size] = '\0';
    return size != 0;
}

/* The file itself; for a script, 0 with the interpreter in *next. */
static int elf_check_file(const char *path, char next[PATH_MAX], char why[ELF_CHECK_TEXT])
{
    struct elf_facts facts;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    next[0] = '\0';
    if (fd < 0)
        return elf_refuse(STATUS_CANNOT_RUN, why, "cannot run %s: it cannot be read, so there is no telling whether it"
                          " would take a new malloc (%s).", path, strerror(errno));
    int kind = elf_read(fd, &facts), status = 0;
    if (kind < 0)
        status = elf_refuse(STATUS_CANNOT_RUN, why, "cannot run %s: its ELF headers are damaged.", path);
    else if (kind > 0)
        status = elf_check_privileges(path, fd, why);
    else if (!elf_read_script(fd, next))
        status = elf_refuse(STATUS_CANNOT_RUN, why, "cannot run %s: it is neither a program nor a script that begins"
                            " with #! (for a shell script: tagpool run sh %s).", path, path);
    if (status == 0 && kind > 0)
        status = elf_check_facts(path, &facts, why);
    close(fd);
    return status;
}

/* "cannot run INTERPRETER: why.": whose interpreter it is. */
static void elf_name_script(const char *path, char why[ELF_CHECK_TEXT])
{
    size_t length = strlen(why);
    snprintf(why + length, ELF_CHECK_TEXT - length, " It is the interpreter of %s.", path);
}

int elf_check_program(const char *path, char why[ELF_CHECK_TEXT])
{
    char here[PATH_MAX], next[PATH_MAX];
    snprintf(here, sizeof(here), "%s", path);
    for (int depth = 0; depth <= ELF_CHECK_SCRIPTS; depth++) {
        int status = elf_check_path(here, why);
        if (status == 0)
            status = elf_check_file(here, next, why);
        if (status != 0 && depth > 0)
            elf_name_script(path, why);
        if (status != 0 || next[0] == '\0')
            return status;
        memcpy(here, next, sizeof(here));
    }
    return elf_refuse(STATUS_CANNOT_RUN, why, "cannot run %s: its interpreter is a script in a script in a script.",
                      path);
}
