#include "resolve.h"
#include "memory.h"
#include "symfile.h"

#include <dwarf.h>
#include <elfutils/libdw.h>
#include <stdlib.h>
#include <string.h>

static char *resolve_name(const char *name)
{
    char *demangled = name != NULL ? symfile_demangle(name) : NULL;
    return demangled != NULL || name == NULL ? demangled : memory_copy_text(name);
}

/* Take "x/.." and "." out of a path, in place: compilers join the directories that they were told. */
static void resolve_tidy(char *path)
{
    char *to = path;
    for (const char *from = path; *from != '\0';) {
        size_t length = strcspn(from, "/"), whole = length + (from[length] == '/');
        char *before = to; /* the beginning of the part before, which ends in a slash */
        while (before > path && (before == to || before[-1] != '/'))
            before--;
        bool is_plain = before < to && before[0] != '/' && strncmp(before, "../", 3) != 0;
        if (length == 2 && memcmp(from, "..", 2) == 0 && is_plain)
            to = before;
        else if ((length != 1 || from[0] != '.') && (length != 0 || to == path)) {
            memmove(to, from, whole);
            to += whole;
        }
        from += whole;
    }
    *to = '\0';
}

/* A path as debug information has it, relative to the directory that was compiled in. */
static char *resolve_path(const char *directory, const char *path)
{
    bool is_whole = path[0] == '/' || directory == NULL || directory[0] == '\0';
    char *joined = is_whole ? memory_copy_text(path) : memory_format("%s/%s", directory, path);
    resolve_tidy(joined);
    return joined;
}

/* ---- by debug information ---- */

static char *resolve_die_name(Dwarf_Die *die)
{
    Dwarf_Attribute attribute;
    const char *linked = dwarf_formstring(dwarf_attr_integrate(die, DW_AT_linkage_name, &attribute));
    return resolve_name(linked != NULL ? linked : dwarf_diename(die));
}

static struct resolve_level *resolve_add(struct resolve_place *place)
{
    if (place->count == RESOLVE_INLINED)
        return NULL;
    struct resolve_level *level = &place->levels[place->count++];
    memset(level, 0, sizeof(*level));
    return level;
}

static void resolve_set_call_line(struct resolve_level *level, Dwarf_Die *unit, Dwarf_Die *inlined)
{
    Dwarf_Attribute attribute;
    Dwarf_Files *files;
    Dwarf_Word line = 0, file = 0;
    size_t count;
    dwarf_formudata(dwarf_attr(inlined, DW_AT_call_line, &attribute), &line);
    level->line = (int)line;
    if (dwarf_formudata(dwarf_attr(inlined, DW_AT_call_file, &attribute), &file) != 0 ||
        dwarf_getsrcfiles(unit, &files, &count) != 0 || file >= count)
        return;
    const char *path = dwarf_filesrc(files, file, NULL, NULL);
    const char *directory = dwarf_formstring(dwarf_attr(unit, DW_AT_comp_dir, &attribute));
    level->file = path != NULL ? resolve_path(directory, path) : NULL;
}

/*
 * From the innermost scope outwards.  The first level has its line already; each inlined function tells the line of the
 * level around it.
 */
static void resolve_walk(struct resolve_place *place, Dwarf_Die *unit, Dwarf_Die *scopes, int count)
{
    struct resolve_level *level = &place->levels[0];
    for (int i = 0; i < count && level != NULL; i++) {
        int tag = dwarf_tag(&scopes[i]);
        if (tag != DW_TAG_inlined_subroutine && tag != DW_TAG_subprogram)
            continue;
        level->function = resolve_die_name(&scopes[i]);
        level->is_inlined = tag == DW_TAG_inlined_subroutine;
        if (!level->is_inlined)
            return;
        level = resolve_add(place);
        if (level != NULL)
            resolve_set_call_line(level, unit, &scopes[i]);
    }
}

static void resolve_by_debug_info(const struct symfile *file, uint64_t address, struct resolve_place *place)
{
    Dwarf_Addr bias = 0;
    Dwarf_Die *innermost = NULL, *scopes = NULL, *unit = dwfl_module_addrdie(file->module, address, &bias);
    Dwfl_Line *found = dwfl_module_getsrc(file->module, address);
    const char *path = found != NULL ? dwfl_lineinfo(found, NULL, &place->levels[0].line, NULL, NULL, NULL) : NULL;
    place->levels[0].file = path != NULL ? resolve_path(dwfl_line_comp_dir(found), path) : NULL;
    /* Around an inlined function these are where it was written; what it was inlined into is asked for by its entry. */
    int count = unit != NULL ? dwarf_getscopes(unit, address - bias, &innermost) : 0;
    if (count > 0 && (count = dwarf_getscopes_die(&innermost[0], &scopes)) > 0)
        resolve_walk(place, unit, scopes, count);
    free(innermost);
    free(scopes);
}

/* ---- by the symbol table ---- */

static void resolve_by_symbol(const struct symfile *file, uint64_t address, bool is_exact, struct resolve_place *place)
{
    GElf_Off within = 0;
    GElf_Sym symbol;
    struct resolve_level *outermost = &place->levels[place->count - 1];
    const char *name = dwfl_module_addrinfo(file->module, address, &within, &symbol, NULL, NULL, NULL);
    if (name == NULL || outermost->is_inlined) /* cut off, so not the function of the symbol */
        return;
    outermost->within = within + !is_exact;
    if (outermost->function == NULL)
        outermost->function = resolve_name(name);
}

void resolve_find(const char *path, uint64_t offset, bool is_exact, struct resolve_place *place)
{
    place->count = 0;
    resolve_add(place);
    const struct symfile *file = path[0] == '/' ? symfile_find(path) : NULL;
    if (file == NULL || file->module == NULL || (offset == 0 && !is_exact))
        return;
    uint64_t address = file->bias + offset - !is_exact;
    resolve_by_debug_info(file, address, place);
    resolve_by_symbol(file, address, is_exact, place);
}

void resolve_free(struct resolve_place *place)
{
    for (size_t i = 0; i < place->count; i++) {
        free(place->levels[i].function);
        free(place->levels[i].file);
    }
    place->count = 0;
}
