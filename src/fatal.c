#include "fatal.h"
#include "os.h"
#include "text.h"

#include <signal.h>
#include <stdlib.h>

/* Every rule that this build can stop for, with its one sentence. */
static const struct stop_row {
    enum tp_bad_caller rule;
    const char *sentence;
} stop_rows[] = {
    {TP_CALLER_FREED_TWICE, "A block that had been freed already was freed again"},
    {TP_CALLER_WRONG_TAG, "A block was freed under another tag than it was allocated with"},
    {TP_CALLER_NO_POOL, "A pointer that no pool ever gave out was freed"},
    {TP_CALLER_INVALID, "A pointer was freed where no block is allocated"},
    {TP_CALLER_MIDDLE, "A pointer into the middle of a block was freed"},
};

static const char *stop_sentence(enum tp_bad_caller rule)
{
    for (size_t i = 0; i < sizeof(stop_rows) / sizeof(stop_rows[0]); i++)
        if (stop_rows[i].rule == rule)
            return stop_rows[i].sentence;
    return "A rule of the pool routines was broken";
}

void tp_stop(enum tp_bad_caller rule, uintptr_t p2, uintptr_t p3, uintptr_t p4, const void *address, uint32_t tag)
{
    char buffer[512];
    struct tp_text text = {.at = buffer, .size = sizeof(buffer)};
    const uintptr_t parameters[4] = {rule, p2, p3, p4};
    tp_text_add(&text, "*** STOP: ");
    tp_text_hex(&text, TP_STOP_BAD_POOL_CALLER, 8);
    for (int i = 0; i < 4; i++) {
        tp_text_add(&text, i == 0 ? " (" : ", ");
        tp_text_hex(&text, parameters[i], 16);
    }
    tp_text_add(&text, ") BAD_POOL_CALLER\n");
    tp_text_add(&text, stop_sentence(rule));
    tp_text_add(&text, ": pointer ");
    tp_text_hex(&text, (uintptr_t)address, 12);
    if (tag != 0) {
        tp_text_add(&text, ", tag ");
        tp_text_tag(&text, tag);
    }
    tp_text_add(&text, ", page ");
    tp_text_hex(&text, (uintptr_t)address & ~(TP_OS_PAGE - 1), 12);
    tp_text_add(&text, ".\n");
    tp_os_write_stderr(text.at, text.length);
    abort();
}

void tp_fail(const char *what)
{
    char buffer[256];
    struct tp_text text = {.at = buffer, .size = sizeof(buffer)};
    tp_text_add(&text, "tagpool: ");
    tp_text_add(&text, what);
    tp_text_char(&text, '\n');
    tp_os_write_stderr(text.at, text.length);
    abort();
}

void tp_assert_failed(const char *invariant, const char *file, int line)
{
    char buffer[256];
    struct tp_text text = {.at = buffer, .size = sizeof(buffer)};
    tp_text_add(&text, "tagpool: invariant ");
    tp_text_add(&text, invariant);
    tp_text_add(&text, " does not hold at ");
    tp_text_add(&text, file);
    tp_text_char(&text, ':');
    tp_text_number(&text, (uint64_t)line);
    tp_text_char(&text, '\n');
    tp_os_write_stderr(text.at, text.length);
    abort();
}
