#include "stop_json.h"
#include "json.h"
#include "resolve.h"
#include "stop_words.h"
#include "stoprule.h"

#include <inttypes.h>

/* ---- items ---- */

static void json_put_parameters(FILE *out, const struct tagpool_report_stop *stop, const struct stoprule *rule)
{
    fputs(",\"parameters\":[", out);
    for (int i = 0; i < 4; i++)
        fprintf(out, "%s\"0x%" PRIx64 "\"", i > 0 ? "," : "", stop->parameters[i]);
    fputs("],\"meanings\":", out);
    if (rule == NULL) {
        fputs("null", out);
        return;
    }
    for (int i = 0; i < 4; i++) {
        fputc(i > 0 ? ',' : '[', out);
        json_put_text(out, rule->meanings[i]);
    }
    fputc(']', out);
}

static void json_put_stop(FILE *out, const struct tagpool_report_stop *stop)
{
    const struct stoprule *rule = stoprule_find(stop);
    fprintf(out, ",\"stop\":{\"thread\":%u", stop->thread);
    json_put_number(out, "code", stop->code);
    json_put_word(out, "code_name", stoprule_code_name(stop->code));
    json_put_word(out, "rule", rule != NULL ? rule->name : NULL);
    json_put_word(out, "sentence", rule != NULL ? rule->sentence : NULL);
    json_put_word(out, "advice", rule != NULL ? rule->advice : NULL);
    json_put_parameters(out, stop, rule);
    json_put_hex(out, "address", stop->address);
    json_put_word(out, "access", stop_word(STOP_WORD_ACCESS, stop->access));
    json_put_number(out, "access_size", stop->size);
    fputc('}', out);
}

static void json_put_tag_and_name(FILE *out, uint32_t tag, const char *name)
{
    fputs(",\"tag\":", out);
    json_put_tag(out, tag);
    json_put_word(out, "name", name);
}

static void json_put_block(FILE *out, const struct tagpool_report_block *block)
{
    fprintf(out, ",\"block\":{\"size\":%" PRIu64 ",\"offset\":%" PRId64, block->size, block->offset);
    json_put_hex(out, "address", block->address);
    json_put_tag_and_name(out, block->tag, block->name);
    json_put_word(out, "type", block->kind != 0 ? "Paged" : "Nonp");
    json_put_word(out, "keeper", stop_word(STOP_WORD_KEEPER, block->keeper));
    json_put_word(out, "state", stop_word(STOP_WORD_STATE, block->state));
    json_put_word(out, "allocated_by", stop_word(STOP_WORD_FACE, block->face));
    json_put_number(out, "alloc_thread", block->alloc_thread);
    json_put_number(out, "free_thread", block->free_thread);
    fputc('}', out);
}

static void json_put_leak(FILE *out, const struct tagpool_report_leak *leak)
{
    fprintf(out, ",\"leak\":{\"blocks\":%" PRIu64, leak->blocks);
    json_put_number(out, "bytes", leak->bytes);
    json_put_word(out, "class", stop_word(STOP_WORD_LEAK, leak->leak_class));
    json_put_tag_and_name(out, leak->tag, leak->name);
    fputc('}', out);
}

static void json_put_fault(FILE *out, const struct tagpool_report_fault *fault)
{
    fprintf(out, ",\"fault\":{\"size\":%" PRIu64 ",\"tag\":", fault->size);
    json_put_tag(out, fault->tag);
    json_put_hex(out, "stack_hash", fault->stack_hash);
    fputc('}', out);
}

static void json_put_counters(FILE *out, const struct tagpool_report_counters *counters)
{
    fprintf(out, ",\"counters\":{\"allocs_attempted\":%" PRIu64, counters->allocs_attempted);
    json_put_number(out, "allocs_succeeded", counters->allocs_succeeded);
    json_put_number(out, "allocs_special", counters->allocs_special);
    json_put_number(out, "allocs_watched", counters->allocs_watched);
    json_put_number(out, "special_refused", counters->special_refused);
    json_put_number(out, "allocs_failed", counters->allocs_failed);
    json_put_number(out, "faults_injected", counters->faults_injected);
    json_put_number(out, "leaks_lost", counters->leaks_lost);
    json_put_number(out, "leaks_possibly_lost", counters->leaks_possibly_lost);
    json_put_number(out, "leaks_reachable", counters->leaks_reachable);
    fputc('}', out);
}

static void json_put_crash(FILE *out, const struct tagpool_report_crash *crash)
{
    fprintf(out, ",\"crash\":{\"signal\":%u", crash->signal);
    json_put_hex(out, "address", crash->address);
    json_put_number(out, "thread", crash->thread);
    fputc('}', out);
}

/* ---- stacks ---- */

static void json_put_frame(FILE *out, const struct reportfile_record *record, const struct tagpool_report_frame *frame,
                           const char *comma)
{
    struct resolve_place place;
    const struct reportfile_module *module = reportfile_module(record, frame);
    resolve_find(module != NULL ? module->path : "", frame->offset, frame->is_exact != 0, &place);
    for (size_t i = 0; i < place.count; i++) {
        const struct resolve_level *level = &place.levels[i];
        fprintf(out, "%s{\"pc\":\"0x%" PRIx64 "\"", i > 0 ? "," : comma, frame->pc);
        json_put_word(out, "module", module != NULL ? module->path : NULL);
        json_put_hex(out, "offset", frame->offset);
        json_put_word(out, "function", level->function);
        json_put_number(out, "within", level->within);
        json_put_word(out, "file", level->file);
        json_put_number(out, "line", (uint64_t)level->line);
        fprintf(out, ",\"inlined\":%s}", level->is_inlined ? "true" : "false");
    }
    resolve_free(&place);
}

static void json_put_stacks(FILE *out, const struct reportfile_record *record)
{
    static const char *const names[REPORTFILE_ROLES] = {NULL, "here", "alloc", "free"};
    const char *comma = "";
    fputs(",\"stacks\":{", out);
    for (int role = 1; role < REPORTFILE_ROLES; role++) {
        const struct reportfile_stack *stack = &record->stacks[role];
        if (stack->count == 0)
            continue;
        fprintf(out, "%s\"%s\":[", comma, names[role]);
        for (uint32_t i = 0; i < stack->count; i++)
            json_put_frame(out, record, &stack->frames[i], i > 0 ? "," : "");
        fputc(']', out);
        comma = ",";
    }
    fputc('}', out);
}

static void json_put_bytes(FILE *out, const struct reportfile_record *record)
{
    fputs(",\"bytes\":[", out);
    for (size_t i = 0; i < record->bytes_count; i++) {
        const struct reportfile_bytes *bytes = &record->bytes[i];
        fprintf(out, "%s{\"address\":\"0x%" PRIx64 "\",\"hex\":\"", i > 0 ? "," : "", bytes->address);
        for (uint32_t at = 0; at < bytes->count; at++)
            fprintf(out, "%02x", bytes->bytes[at]);
        fputs("\"}", out);
    }
    fputc(']', out);
}

void stop_json_record(FILE *out, const struct reportfile_record *record)
{
    const char *kind = stop_word(STOP_WORD_RECORD, record->head.kind);
    fprintf(out, "{\"kind\":\"%s\",\"pid\":%u", kind != NULL ? kind : "unknown", record->head.pid);
    json_put_word(out, "program", record->head.program);
    json_put_number(out, "time_ns", record->head.time_ns);
    if (reportfile_has(record, TAGPOOL_REPORT_STOP))
        json_put_stop(out, &record->stop);
    if (reportfile_has(record, TAGPOOL_REPORT_BLOCK))
        json_put_block(out, &record->block);
    if (reportfile_has(record, TAGPOOL_REPORT_LEAK))
        json_put_leak(out, &record->leak);
    if (reportfile_has(record, TAGPOOL_REPORT_FAULT))
        json_put_fault(out, &record->fault);
    if (reportfile_has(record, TAGPOOL_REPORT_COUNTERS))
        json_put_counters(out, &record->counters);
    if (reportfile_has(record, TAGPOOL_REPORT_CRASH))
        json_put_crash(out, &record->crash);
    if (reportfile_has(record, TAGPOOL_REPORT_STACK))
        json_put_stacks(out, record);
    if (reportfile_has(record, TAGPOOL_REPORT_BYTES))
        json_put_bytes(out, record);
    fputs("}\n", out);
}
