#include "chain.h"
#include "escape.h"
#include "memory.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Frames that say which place it is: strlen alone says little. */
#define CHAIN_ALIKE 2

static void chain_add(struct chain *chain, struct chain_frame frame)
{
    chain->frames = memory_grow(chain->frames, chain->count, sizeof(*chain->frames));
    chain->frames[chain->count++] = frame;
}

void chain_take(struct chain *chain, const struct reportfile_record *record, size_t most)
{
    const struct reportfile_stack *stack = &record->stacks[TAGPOOL_REPORT_STACK_HERE];
    chain_free(chain);
    for (size_t i = 0; i < stack->count && i < most; i++) {
        const struct tagpool_report_frame *frame = &stack->frames[i];
        const struct reportfile_module *module = reportfile_module(record, frame);
        chain_add(chain, (struct chain_frame){.module = module != NULL ? memory_copy_text(module->path) : NULL,
                                              .offset = frame->offset,
                                              .is_exact = frame->is_exact != 0});
    }
}

/* The number of a module, which is added where it is new. */
static uint32_t chain_module(struct reportfile_record *record, const char *path)
{
    if (path == NULL)
        return TAGPOOL_REPORT_NO_MODULE;
    for (size_t i = 0; i < record->module_count; i++)
        if (strcmp(record->modules[i].path, path) == 0)
            return (uint32_t)i;
    uint32_t index = (uint32_t)record->module_count++;
    record->modules[index] = (struct reportfile_module){.index = index, .path = path};
    return index;
}

void chain_make_record(const struct chain *chain, struct reportfile_record *record)
{
    struct reportfile_stack *stack = &record->stacks[TAGPOOL_REPORT_STACK_HERE];
    memset(record, 0, sizeof(*record));
    for (size_t i = 0; i < chain->count && i < TAGPOOL_REPORT_FRAMES; i++) {
        const struct chain_frame *frame = &chain->frames[i];
        stack->frames[stack->count++] = (struct tagpool_report_frame){.pc = frame->offset,
                                                                      .offset = frame->offset,
                                                                      .module = chain_module(record, frame->module),
                                                                      .is_exact = frame->is_exact};
    }
}

/* ---- as words ---- */

/* No comma may stand in a path: it parts the frames. */
static void chain_put_path(FILE *out, const char *path)
{
    char *text = NULL;
    size_t size = 0;
    FILE *escaped = open_memstream(&text, &size);
    if (escaped == NULL)
        return;
    escape_put(escaped, path);
    fclose(escaped);
    for (const char *at = text; *at != '\0'; at++) {
        if (*at == ',')
            fputs("\\x2c", out);
        else
            fputc(*at, out);
    }
    free(text);
}

void chain_put(FILE *out, const struct chain *chain)
{
    if (chain->count == 0)
        fputc('-', out);
    for (size_t i = 0; i < chain->count; i++) {
        const struct chain_frame *frame = &chain->frames[i];
        if (i > 0)
            fputc(',', out);
        chain_put_path(out, frame->module != NULL ? frame->module : "");
        fprintf(out, "+0x%" PRIx64 "%s", frame->offset, frame->is_exact ? "!" : "");
    }
}

static bool chain_read_frame(struct chain *chain, char *word)
{
    char *plus = strrchr(word, '+'), *end;
    if (plus == NULL || strncmp(plus, "+0x", 3) != 0)
        return false;
    *plus = '\0';
    uint64_t offset = strtoull(plus + 1, &end, 16);
    if (end == plus + 3 || (*end != '\0' && strcmp(end, "!") != 0))
        return false;
    char *module = escape_read(word);
    if (module[0] == '\0') {
        free(module);
        module = NULL;
    }
    chain_add(chain, (struct chain_frame){.module = module, .offset = offset, .is_exact = *end == '!'});
    return true;
}

bool chain_read(struct chain *chain, const char *word)
{
    if (strcmp(word, "-") == 0)
        return true;
    bool is_good = true;
    char *copy = memory_copy_text(word), *rest = copy;
    for (char *part; is_good && (part = strsep(&rest, ",")) != NULL;)
        is_good = chain->count < TAGPOOL_REPORT_FRAMES && chain_read_frame(chain, part);
    free(copy);
    return is_good;
}

/* The first frame from `*at` on that lies in a library: a wild call leads to another address each time. */
static const struct chain_frame *chain_next(const struct chain *chain, size_t *at)
{
    while (*at < chain->count && chain->frames[*at].module == NULL)
        (*at)++;
    return *at < chain->count ? &chain->frames[(*at)++] : NULL;
}

bool chain_begins_alike(const struct chain *one, const struct chain *other)
{
    size_t at = 0, other_at = 0;
    for (int i = 0; i < CHAIN_ALIKE; i++) {
        const struct chain_frame *a = chain_next(one, &at), *b = chain_next(other, &other_at);
        if (a == NULL && b == NULL && i > 0)
            return true;
        if (a == NULL || b == NULL || a->offset != b->offset || strcmp(a->module, b->module) != 0)
            return false;
    }
    return true;
}

void chain_free(struct chain *chain)
{
    for (size_t i = 0; i < chain->count; i++)
        free(chain->frames[i].module);
    free(chain->frames);
    *chain = (struct chain){NULL, 0};
}
