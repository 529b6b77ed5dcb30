#include "verdict.h"
#include "memory.h"
#include "stoprule.h"

#include <string.h>

static const struct {
    const char *word;
    const char *meaning;
} verdicts[VERDICTS] = {
    [VERDICT_THROUGH] = {"through", "ended as ever"},
    [VERDICT_ALTERED] = {"altered", "ended as ever, but wrote something else to stdout"},
    [VERDICT_FAILED] = {"failed", "ended with another status"},
    [VERDICT_LEAKED] = {"leaked", "lost blocks that are not lost otherwise"},
    [VERDICT_ABORTED] = {"aborted", "gave up by abort()"},
    [VERDICT_VANISHED] = {"vanished", "a child of the program did not come to its end"},
    [VERDICT_HUNG] = {"hung", "did not end in time"},
    [VERDICT_CRASHED] = {"crashed", "ended by a signal"},
    [VERDICT_STOPPED] = {"stopped", "broke a rule of the verifier"},
};

const char *verdict_word(enum verdict verdict)
{
    return verdicts[verdict].word;
}

const char *verdict_meaning(enum verdict verdict)
{
    return verdicts[verdict].meaning;
}

enum verdict verdict_named(const char *word)
{
    for (int i = 0; i < VERDICTS; i++)
        if (strcmp(verdicts[i].word, word) == 0)
            return (enum verdict)i;
    return VERDICTS;
}

static char *verdict_text_of_signal(unsigned long number)
{
    const char *name = sigabbrev_np((int)number);
    return name != NULL ? memory_format("crashed by SIG%s", name) : memory_format("crashed by signal %lu", number);
}

char *verdict_text(enum verdict verdict, unsigned long detail)
{
    switch (verdict) {
    case VERDICT_FAILED: return memory_format("failed with status %lu", detail);
    case VERDICT_LEAKED: return memory_format("leaked %lu block%s", detail, detail == 1 ? "" : "s");
    case VERDICT_CRASHED: return verdict_text_of_signal(detail);
    case VERDICT_STOPPED: return memory_format("stopped by %s", stoprule_code_name((uint32_t)detail));
    default: return memory_copy_text(verdict_word(verdict));
    }
}
