#include "stop_text.h"
#include "label.h"
#include "stack_text.h"
#include "stop_words.h"
#include "stoprule.h"

#include <ctype.h>
#include <inttypes.h>
#include <string.h>

#define STOP_TEXT_BOLD "\033[1m"
#define STOP_TEXT_REVERSE "\033[7m"
#define STOP_TEXT_PLAIN "\033[0m"

enum {
    STOP_TEXT_ROW = 16,
    STOP_TEXT_ROWS = 16, /* of bytes, around the one that matters */
};

/* ---- small things ---- */

/* Names come from other processes. */
static void stop_text_put_name(FILE *out, const char *name)
{
    char clean[128];
    label_clean(clean, sizeof(clean), name, strlen(name));
    fputs(clean, out);
}

/* "tag Conn (connections)". */
static void stop_text_put_tag(FILE *out, uint32_t tag, const char *name)
{
    char text[LABEL_TAG];
    size_t length = strlen(label_tag(text, tag));
    while (length > 1 && text[length - 1] == ' ')
        length--;
    fprintf(out, "tag %.*s", (int)length, text);
    if (name[0] == '\0')
        return;
    fputs(" (", out);
    stop_text_put_name(out, name);
    fputc(')', out);
}

static void stop_text_put_count(FILE *out, uint64_t count, const char *thing)
{
    fprintf(out, "%" PRIu64 " %s%s", count, thing, count == 1 ? "" : "s");
}

static void stop_text_put_program(FILE *out, const struct reportfile_record *record)
{
    fprintf(out, "pid %u (", record->head.pid);
    stop_text_put_name(out, record->head.program);
    fputc(')', out);
}

/* ---- what was broken ---- */

static void stop_text_put_title(FILE *out, const struct tagpool_report_stop *stop, bool is_color)
{
    fprintf(out, "%s*** STOP: 0x%08X (0x%016" PRIX64 ", 0x%016" PRIX64 ", 0x%016" PRIX64 ", 0x%016" PRIX64 ") %s%s\n",
            is_color ? STOP_TEXT_BOLD : "", stop->code, stop->parameters[0], stop->parameters[1], stop->parameters[2],
            stop->parameters[3], stoprule_code_name(stop->code), is_color ? STOP_TEXT_PLAIN : "");
}

/* ", right behind a block of 100 bytes (offset 100)": where the address lies, seen from the block. */
static void stop_text_put_offset(FILE *out, const struct tagpool_report_block *block)
{
    uint64_t behind = block->offset >= 0 && (uint64_t)block->offset >= block->size;
    if (block->offset == 0 && block->size != 0) {
        fputs(", the beginning of", out);
    } else if (block->offset < 0) {
        fputs(", ", out);
        stop_text_put_count(out, -(uint64_t)block->offset, "byte");
        fputs(" before", out);
    } else if (!behind) {
        fputs(", in", out);
    } else if ((uint64_t)block->offset == block->size) {
        fputs(", right behind", out);
    } else {
        fputs(", ", out);
        stop_text_put_count(out, (uint64_t)block->offset - block->size, "byte");
        fputs(" behind the end of", out);
    }
    fprintf(out, " a %sblock of ", block->state == TAGPOOL_REPORT_FREED ? "freed " : "");
    stop_text_put_count(out, block->size, "byte");
    if (block->offset != 0)
        fprintf(out, " (offset %" PRId64 ")", block->offset);
}

/* "write of 33 bytes, which reaches ": of a function that was told how many. */
static void stop_text_put_access(FILE *out, const char *access, uint64_t size)
{
    fprintf(out, "%s of ", access);
    if (size == 0)
        return;
    stop_text_put_count(out, size, "byte");
    fputs(", which reaches ", out);
}

static void stop_text_put_sentence(FILE *out, const struct reportfile_record *record, const struct stoprule *rule)
{
    const struct tagpool_report_stop *stop = &record->stop;
    const char *access = stop_word(STOP_WORD_ACCESS, stop->access);
    fputs(rule != NULL ? rule->sentence : "A rule was broken that this tagpool does not know", out);
    if (stop->address != 0) {
        fputs(": ", out);
        if (access != NULL)
            stop_text_put_access(out, access, stop->size);
        fprintf(out, "address 0x%" PRIx64, stop->address);
        if (reportfile_has(record, TAGPOOL_REPORT_BLOCK))
            stop_text_put_offset(out, &record->block);
    }
    fputs(".\n\n", out);
}

/* ---- the block and the parameters ---- */

static void stop_text_put_block(FILE *out, const struct tagpool_report_block *block)
{
    const char *face = stop_word(STOP_WORD_FACE, block->face);
    const char *state = stop_word(STOP_WORD_STATE, block->state);
    fprintf(out, "  Block  0x%" PRIx64 ", ", block->address);
    stop_text_put_count(out, block->size, "byte");
    fputs(", ", out);
    stop_text_put_tag(out, block->tag, block->name);
    fputs(block->kind != 0 ? ", paged" : ", nonpaged", out);
    if (face != NULL)
        fprintf(out, ", allocated by %s", face);
    if (state != NULL)
        fprintf(out, ", %s", state);
    if (block->keeper == TAGPOOL_REPORT_SPECIAL)
        fputs(", in special pool", out);
    else if (block->keeper == TAGPOOL_REPORT_WATCHED)
        fputs(", watched", out);
    fputc('\n', out);
}

/* Is it told already, or the same for every stop of the rule? */
static bool stop_text_is_known(const struct reportfile_record *record, const struct stoprule *rule, int index)
{
    const char *meaning = rule->meanings[index];
    uint64_t value = record->stop.parameters[index];
    const struct tagpool_report_block *block = &record->block;
    if (isdigit((unsigned char)meaning[0]) || (int)rule->constant_at == index + 1)
        return true;
    if (value == record->stop.address)
        return true;
    if (strcmp(meaning, "instruction") == 0)
        return record->stacks[TAGPOOL_REPORT_STACK_HERE].count != 0;
    return reportfile_has(record, TAGPOOL_REPORT_BLOCK) &&
           (value == block->address || value == block->tag || value == (uint64_t)block->offset);
}

static bool stop_text_is_tag(const char *meaning)
{
    return strncmp(meaning, "tag", 3) == 0 || strstr(meaning, "ed by: ") != NULL;
}

static void stop_text_put_parameters(FILE *out, const struct reportfile_record *record, const struct stoprule *rule)
{
    for (int i = 0; rule != NULL && i < 4; i++) {
        uint64_t value = record->stop.parameters[i];
        char tag[LABEL_TAG];
        if (stop_text_is_known(record, rule, i))
            continue;
        int length = (int)strcspn(rule->meanings[i], ":");
        if (stop_text_is_tag(rule->meanings[i]))
            fprintf(out, "  Parameter %d, %.*s: %s\n", i + 1, length, rule->meanings[i],
                    label_tag(tag, (uint32_t)value));
        else
            fprintf(out, "  Parameter %d, %.*s: 0x%" PRIx64 "\n", i + 1, length, rule->meanings[i], value);
    }
}

/* ---- stacks ---- */

static void stop_text_put_stack(FILE *out, const struct reportfile_record *record, enum tagpool_report_stack_role role,
                                const char *title, uint32_t thread)
{
    if (record->stacks[role].count == 0)
        return;
    fprintf(out, "\n  %s", title);
    if (thread != 0)
        fprintf(out, " by thread %u", thread);
    fputc('\n', out);
    stack_text_put(out, record, &record->stacks[role]);
}

static void stop_text_put_stacks(FILE *out, const struct reportfile_record *record)
{
    stop_text_put_stack(out, record, TAGPOOL_REPORT_STACK_HERE,
                        record->stop.access != TAGPOOL_REPORT_NO_ACCESS ? "Access" : "Here", 0);
    stop_text_put_stack(out, record, TAGPOOL_REPORT_STACK_ALLOC, "Allocated", record->block.alloc_thread);
    stop_text_put_stack(out, record, TAGPOOL_REPORT_STACK_FREE, "Freed", record->block.free_thread);
}

/* ---- bytes ---- */

/* The byte that all is about: the first that was changed, or that was touched. */
static uint64_t stop_text_focus(const struct tagpool_report_stop *stop, const struct stoprule *rule)
{
    for (int i = 0; rule != NULL && i < 4; i++)
        if (strcmp(rule->meanings[i], "first changed address") == 0)
            return stop->parameters[i];
    return stop->address;
}

static const unsigned char *stop_text_byte(const struct reportfile_bytes *bytes, uint64_t address)
{
    return address - bytes->address < bytes->count ? bytes->bytes + (address - bytes->address) : NULL;
}

/* " 41 41>41 41": the mark stands in the place of a blank, so that columns stay.  What is not known is "??". */
static void stop_text_put_row(FILE *out, const struct reportfile_bytes *bytes, uint64_t row, uint64_t focus,
                              bool is_color)
{
    fprintf(out, "    %012" PRIx64 " ", row);
    for (uint64_t at = row; at != row + STOP_TEXT_ROW; at++) {
        const unsigned char *byte = stop_text_byte(bytes, at);
        bool is_marked = at == focus;
        fputs(is_marked ? ">" : " ", out);
        if (is_marked && is_color)
            fputs(STOP_TEXT_REVERSE, out);
        fprintf(out, byte != NULL ? "%02x" : is_marked ? "??" : "  ", byte != NULL ? *byte : 0);
        if (is_marked && is_color)
            fputs(STOP_TEXT_PLAIN, out);
    }
    fputs("  |", out);
    for (uint64_t at = row; at != row + STOP_TEXT_ROW; at++) {
        const unsigned char *byte = stop_text_byte(bytes, at);
        fputc(byte == NULL ? ' ' : *byte >= 0x20 && *byte < 0x7f ? *byte : '.', out);
    }
    fputs("|\n", out);
}

static void stop_text_put_bytes(FILE *out, const struct reportfile_bytes *bytes, uint64_t focus, bool is_color)
{
    if (bytes->count == 0)
        return;
    const uint64_t row_mask = ~(uint64_t)(STOP_TEXT_ROW - 1);
    uint64_t end = bytes->address + bytes->count, row = bytes->address & row_mask;
    bool has_focus = focus - bytes->address <= bytes->count; /* also right behind, in a guard page */
    uint64_t last = (focus == end ? end : end - 1) & row_mask;
    const uint64_t before = STOP_TEXT_ROWS / 2 * STOP_TEXT_ROW;
    if (has_focus && (focus & row_mask) - row > before)
        row = (focus & row_mask) - before;
    fprintf(out, "\n  Bytes %s 0x%" PRIx64 "\n", has_focus ? "around" : "at", has_focus ? focus : bytes->address);
    for (int rows = 0; rows < STOP_TEXT_ROWS; rows++, row += STOP_TEXT_ROW) {
        stop_text_put_row(out, bytes, row, focus, is_color);
        if (row == last)
            break;
    }
}

/* ---- the whole ---- */

void stop_text_stop(FILE *out, const struct reportfile_record *record, bool is_color)
{
    const struct stoprule *rule = stoprule_find(&record->stop);
    uint64_t focus = stop_text_focus(&record->stop, rule);
    stop_text_put_title(out, &record->stop, is_color);
    stop_text_put_sentence(out, record, rule);
    fputs("  ", out);
    stop_text_put_program(out, record);
    fprintf(out, ", thread %u\n", record->stop.thread);
    if (reportfile_has(record, TAGPOOL_REPORT_BLOCK))
        stop_text_put_block(out, &record->block);
    stop_text_put_parameters(out, record, rule);
    stop_text_put_stacks(out, record);
    for (size_t i = 0; i < record->bytes_count; i++)
        stop_text_put_bytes(out, &record->bytes[i], focus, is_color);
    if (rule != NULL)
        fprintf(out, "\n  What to try next: %s\n", rule->advice);
    fputc('\n', out);
}

/* Of a record that is about one call. */
static const struct reportfile_stack *stop_text_only_stack(const struct reportfile_record *record)
{
    const struct reportfile_stack *alloc = &record->stacks[TAGPOOL_REPORT_STACK_ALLOC];
    return alloc->count != 0 ? alloc : &record->stacks[TAGPOOL_REPORT_STACK_HERE];
}

void stop_text_leak(FILE *out, const struct reportfile_record *record, bool is_color)
{
    static const char *const titles[] = {[TAGPOOL_REPORT_LOST] = "Definitely lost",
                                         [TAGPOOL_REPORT_POSSIBLY_LOST] = "Possibly lost",
                                         [TAGPOOL_REPORT_REACHABLE] = "Still reachable"};
    const struct tagpool_report_leak *leak = &record->leak;
    bool is_known = leak->leak_class >= TAGPOOL_REPORT_LOST && leak->leak_class <= TAGPOOL_REPORT_REACHABLE;
    fprintf(out, "%s%s:%s ", is_color ? STOP_TEXT_BOLD : "", is_known ? titles[leak->leak_class] : "Left",
            is_color ? STOP_TEXT_PLAIN : "");
    stop_text_put_count(out, leak->blocks, "block");
    fputs(", ", out);
    stop_text_put_count(out, leak->bytes, "byte");
    fputs(", ", out);
    stop_text_put_tag(out, leak->tag, leak->name);
    fputs(", ", out);
    stop_text_put_program(out, record);
    const struct reportfile_stack *stack = stop_text_only_stack(record);
    fputs(stack->count != 0 ? ", allocated at\n" : "\n", out);
    stack_text_put(out, record, stack);
    fputc('\n', out);
}

void stop_text_fault(FILE *out, const struct reportfile_record *record)
{
    const struct reportfile_stack *stack = stop_text_only_stack(record);
    fputs("Made to fail: ", out);
    stop_text_put_count(out, record->fault.size, "byte");
    fputs(", ", out);
    stop_text_put_tag(out, record->fault.tag, "");
    fputs(", ", out);
    stop_text_put_program(out, record);
    if (stack->count != 0) {
        fputs(", at ", out);
        stack_text_put_short(out, record, stack);
    }
    fputc('\n', out);
}

void stop_text_counters(FILE *out, const struct reportfile_record *record)
{
    const struct tagpool_report_counters *counters = &record->counters;
    if (counters->special_refused != 0) {
        stop_text_put_program(out, record);
        fprintf(out, ": %" PRIu64 " of %" PRIu64 " blocks found no room in special pool.\n", counters->special_refused,
                counters->special_refused + counters->allocs_special);
    }
    if (counters->faults_injected != 0) {
        stop_text_put_program(out, record);
        fprintf(out, ": %" PRIu64 " of %" PRIu64 " allocations were made to fail.\n", counters->faults_injected,
                counters->allocs_attempted);
    }
}

/* Where it was is known if the program could tell of it. */
void stop_text_crash(FILE *out, const struct reportfile_record *record, bool is_color)
{
    const struct reportfile_stack *stack = &record->stacks[TAGPOOL_REPORT_STACK_HERE];
    const char *name = sigabbrev_np((int)record->crash.signal);
    fprintf(out, "%sCrashed:%s ", is_color ? STOP_TEXT_BOLD : "", is_color ? STOP_TEXT_PLAIN : "");
    if (name != NULL)
        fprintf(out, "SIG%s, ", name);
    if (stack->count != 0)
        fprintf(out, "address 0x%" PRIx64 ", ", record->crash.address);
    stop_text_put_program(out, record);
    fputs(stack->count != 0 ? ", at\n" : "\n", out);
    stack_text_put(out, record, stack);
    if (reportfile_has(record, TAGPOOL_REPORT_COUNTERS))
        stop_text_counters(out, record);
    fputc('\n', out);
}
