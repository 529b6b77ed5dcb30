#include "ledger_text.h"
#include "label.h"
#include "memory.h"
#include "stack_text.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define LEDGER_TEXT_ALIKE 20   /* numbers of stacks that end in one place */
#define LEDGER_TEXT_ABORTED 10 /* lines of those that give up */

/* ---- pieces ---- */

/* ": 40 bytes, tag Conn, in sqlite3". */
static void ledger_text_put_request(FILE *out, const struct ledger_entry *entry)
{
    char tag[LABEL_TAG], program[64];
    size_t length = strlen(label_tag(tag, entry->tag));
    while (length > 1 && tag[length - 1] == ' ')
        length--;
    label_clean(program, sizeof(program), entry->program, strlen(entry->program));
    fprintf(out, "%" PRIu64 " byte%s, tag %.*s, in %s", entry->size, entry->size == 1 ? "" : "s", (int)length, tag,
            program);
}

static void ledger_text_put_verdict(FILE *out, const struct ledger_entry *entry)
{
    char *verdict = verdict_text(entry->verdict, entry->detail);
    fprintf(out, "#%u %s", entry->number, verdict);
    free(verdict);
}

/* A record is too large for the stack. */
static void ledger_text_put_chain(FILE *out, const struct chain *chain, bool is_short)
{
    struct reportfile_record *record = memory_alloc(1, sizeof(*record));
    chain_make_record(chain, record);
    const struct reportfile_stack *stack = &record->stacks[TAGPOOL_REPORT_STACK_HERE];
    if (is_short)
        stack_text_put_short(out, record, stack);
    else
        stack_text_put(out, record, stack);
    free(record);
}

static void ledger_text_put_word(FILE *out, const char *word)
{
    const char *plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=./:,@%";
    if (word[0] != '\0' && word[strspn(word, plain)] == '\0') {
        fprintf(out, " %s", word);
        return;
    }
    fputs(" '", out);
    for (; *word != '\0'; word++)
        fputs(*word == '\'' ? "'\\''" : (char[]){*word, '\0'}, out);
    fputc('\'', out);
}

static void ledger_text_put_again(FILE *out, const struct ledger_entry *entry, const char *options, char **argv)
{
    fprintf(out, "  Again: tagpool run --systematic --replay=%u", entry->number);
    fputs(options, out);
    fputs(" --", out);
    for (; *argv != NULL; argv++)
        ledger_text_put_word(out, *argv);
    fputc('\n', out);
}

/* ---- an entry ---- */

void ledger_text_line(FILE *out, const struct ledger_entry *entry)
{
    ledger_text_put_verdict(out, entry);
    fputs(": ", out);
    ledger_text_put_request(out, entry);
    fputs(", failed at ", out);
    ledger_text_put_chain(out, &entry->chain, true);
    fputc('\n', out);
}

void ledger_text_entry(FILE *out, const struct ledger_entry *entry)
{
    ledger_text_put_verdict(out, entry);
    fputs("\n  Failed: ", out);
    ledger_text_put_request(out, entry);
    fputc('\n', out);
    ledger_text_put_chain(out, &entry->chain, false);
    if (entry->crash.count == 0)
        return;
    fputs(entry->verdict == VERDICT_STOPPED ? "  Stopped\n" : "  Crashed\n", out);
    ledger_text_put_chain(out, &entry->crash, false);
}

/* ---- the summary ---- */

static bool ledger_text_is_alike(const struct ledger_entry *one, const struct ledger_entry *other)
{
    return one->verdict == other->verdict && chain_begins_alike(&one->crash, &other->crash);
}

static bool ledger_text_is_first(const struct ledger *ledger, size_t index)
{
    for (size_t i = 0; i < index; i++)
        if (ledger_text_is_alike(&ledger->entries[i], &ledger->entries[index]))
            return false;
    return true;
}

static void ledger_text_put_alike(FILE *out, const struct ledger *ledger, size_t index)
{
    unsigned count = 0;
    for (size_t i = index + 1; i < ledger->count; i++) {
        if (!ledger_text_is_alike(&ledger->entries[i], &ledger->entries[index]) || ++count > LEDGER_TEXT_ALIKE)
            continue;
        fprintf(out, "%s#%u", count == 1 ? "  In the same place: " : ", ", ledger->entries[i].number);
    }
    if (count > LEDGER_TEXT_ALIKE)
        fprintf(out, " and %u more", count - LEDGER_TEXT_ALIKE);
    if (count > 0)
        fputc('\n', out);
}

static void ledger_text_put_bad(FILE *out, const struct ledger *ledger, enum verdict verdict, const char *options,
                                char **argv)
{
    for (size_t i = 0; i < ledger->count; i++) {
        const struct ledger_entry *entry = &ledger->entries[i];
        if (entry->verdict != verdict || !ledger_text_is_first(ledger, i))
            continue;
        fputc('\n', out);
        ledger_text_entry(out, entry);
        ledger_text_put_alike(out, ledger, i);
        ledger_text_put_again(out, entry, options, argv);
    }
}

static void ledger_text_put_aborted(FILE *out, const struct ledger *ledger)
{
    size_t count = 0;
    for (size_t i = 0; i < ledger->count; i++) {
        if (ledger->entries[i].verdict != VERDICT_ABORTED || ++count > LEDGER_TEXT_ABORTED)
            continue;
        if (count == 1)
            fputc('\n', out);
        ledger_text_line(out, &ledger->entries[i]);
    }
    if (count > LEDGER_TEXT_ABORTED)
        fprintf(out, "... and %zu more that gave up by abort()\n", count - LEDGER_TEXT_ABORTED);
}

static void ledger_text_put_counts(FILE *out, const struct ledger *ledger)
{
    size_t counts[VERDICTS] = {0};
    for (size_t i = 0; i < ledger->count; i++)
        counts[ledger->entries[i].verdict]++;
    fprintf(out, "%zu call stack%s, each made to fail once:\n", ledger->count, ledger->count == 1 ? "" : "s");
    for (int verdict = 0; verdict < VERDICTS; verdict++)
        if (counts[verdict] != 0)
            fprintf(out, "  %6zu %-9s %s\n", counts[verdict], verdict_word((enum verdict)verdict),
                    verdict_meaning((enum verdict)verdict));
}

void ledger_text_summary(FILE *out, const struct ledger *ledger, const char *options, char **argv)
{
    ledger_text_put_aborted(out, ledger);
    for (int verdict = VERDICT_LEAKED; verdict < VERDICTS; verdict++)
        if (verdict != VERDICT_ABORTED)
            ledger_text_put_bad(out, ledger, (enum verdict)verdict, options, argv);
    fputc('\n', out);
    ledger_text_put_counts(out, ledger);
}
