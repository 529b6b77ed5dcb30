#include "stack_text.h"
#include "label.h"
#include "memory.h"
#include "resolve.h"

#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    STACK_TEXT_NAME = 256,   /* longer names, from C++ templates, are cut */
    STACK_TEXT_COLUMNS = 44, /* a longer name moves its own line's place alone */
    STACK_TEXT_SHORT = 4,
};

struct stack_line {
    char function[STACK_TEXT_NAME];
    char *place;
    bool is_main;
};

struct stack_lines {
    struct stack_line *items;
    size_t count;
};

static const char *stack_last_part(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

static const char *stack_short_path(const char *path)
{
    static char here[PATH_MAX];
    if (here[0] == '\0' && getcwd(here, sizeof(here)) == NULL)
        strcpy(here, "?");
    size_t length = strlen(here);
    return strncmp(path, here, length) == 0 && path[length] == '/' ? path + length + 1 : path;
}

/* "src/conn.c:88", else "(libconn.so)". */
static char *stack_make_place(const struct resolve_level *level, const struct reportfile_module *module)
{
    char *text;
    if (level->file != NULL)
        text = memory_format(level->line != 0 ? "%s:%d" : "%s", stack_short_path(level->file), level->line);
    else if (module != NULL && level->function != NULL)
        text = memory_format("(%s)", stack_last_part(module->path));
    else
        return memory_copy_text("");
    char *clean = memory_alloc(strlen(text) + 1, 1);
    label_clean(clean, strlen(text) + 1, text, strlen(text));
    free(text);
    return clean;
}

static char *stack_make_function(const struct resolve_level *level, const struct reportfile_module *module,
                                 const struct tagpool_report_frame *frame)
{
    if (level->function == NULL && module != NULL)
        return memory_format("%s+0x%" PRIx64, stack_last_part(module->path), frame->offset);
    if (level->function == NULL)
        return memory_format("0x%" PRIx64, frame->pc);
    if (level->is_inlined)
        return memory_format("%.200s (inlined)", level->function);
    if (level->file == NULL)
        return memory_format("%.200s+0x%" PRIx64, level->function, level->within);
    return memory_copy_text(level->function);
}

static void stack_add(struct stack_lines *lines, const struct resolve_level *level,
                      const struct reportfile_module *module, const struct tagpool_report_frame *frame)
{
    lines->items = memory_grow(lines->items, lines->count, sizeof(*lines->items));
    struct stack_line *line = &lines->items[lines->count++];
    char *function = stack_make_function(level, module, frame);
    label_clean(line->function, sizeof(line->function), function, strlen(function));
    free(function);
    line->place = stack_make_place(level, module);
    line->is_main = level->function != NULL && strcmp(level->function, "main") == 0;
}

/* What called main is the same in every program. */
static void stack_make(struct stack_lines *lines, const struct reportfile_record *record,
                       const struct reportfile_stack *stack)
{
    struct resolve_place place;
    *lines = (struct stack_lines){NULL, 0};
    for (uint32_t i = 0; i < stack->count; i++) {
        const struct tagpool_report_frame *frame = &stack->frames[i];
        const struct reportfile_module *module = reportfile_module(record, frame);
        resolve_find(module != NULL ? module->path : "", frame->offset, frame->is_exact != 0, &place);
        for (size_t level = 0; level < place.count; level++)
            stack_add(lines, &place.levels[level], module, frame);
        resolve_free(&place);
        if (lines->items[lines->count - 1].is_main)
            return;
    }
}

static void stack_free(struct stack_lines *lines)
{
    for (size_t i = 0; i < lines->count; i++)
        free(lines->items[i].place);
    free(lines->items);
}

static size_t stack_columns(const struct stack_lines *lines)
{
    size_t columns = 0;
    for (size_t i = 0; i < lines->count; i++) {
        size_t width = label_width(lines->items[i].function);
        if (width > columns && width <= STACK_TEXT_COLUMNS)
            columns = width;
    }
    return columns;
}

void stack_text_put(FILE *out, const struct reportfile_record *record, const struct reportfile_stack *stack)
{
    struct stack_lines lines;
    stack_make(&lines, record, stack);
    size_t columns = stack_columns(&lines);
    for (size_t i = 0; i < lines.count; i++) {
        const struct stack_line *line = &lines.items[i];
        fprintf(out, "    #%-2zu ", i);
        if (line->place[0] == '\0')
            fputs(line->function, out);
        else if (label_width(line->function) > columns)
            fprintf(out, "%s  %s", line->function, line->place);
        else {
            label_put(out, line->function, columns);
            fprintf(out, "  %s", line->place);
        }
        fputc('\n', out);
    }
    stack_free(&lines);
}

void stack_text_put_short(FILE *out, const struct reportfile_record *record, const struct reportfile_stack *stack)
{
    struct stack_lines lines;
    stack_make(&lines, record, stack);
    for (size_t i = 0; i < lines.count && i < STACK_TEXT_SHORT; i++) {
        const struct stack_line *line = &lines.items[i];
        bool is_module = line->place[0] == '(' || line->place[0] == '\0';
        fprintf(out, is_module ? "%s%s %s" : "%s%s (%s)", i > 0 ? " < " : "", line->function, line->place);
    }
    stack_free(&lines);
}
