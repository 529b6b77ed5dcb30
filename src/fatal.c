#include "fatal.h"
#include "os.h"
#include "text.h"

#include <signal.h>
#include <stdlib.h>

/* Every rule that this build can stop for, with its one sentence. */
#define BAD_POOL_CALLER TP_STOP_BAD_POOL_CALLER, "BAD_POOL_CALLER"
#define VIOLATION TP_STOP_VIOLATION, "DRIVER_VERIFIER_DETECTED_VIOLATION"
#define DMA_VIOLATION TP_STOP_DMA, "DRIVER_VERIFIER_DMA_VIOLATION"
static const struct stop_row {
    enum tp_rule rule;
    enum tp_stop_code code;
    const char *name;
    const char *sentence;
} stop_rows[] = {
    {TP_CALLER_FREED_TWICE, BAD_POOL_CALLER, "A block that had been freed already was freed again"},
    {TP_CALLER_WRONG_TAG, BAD_POOL_CALLER, "A block was freed under another tag than it was allocated with"},
    {TP_CALLER_NO_POOL, BAD_POOL_CALLER, "A pointer that no pool ever gave out was freed"},
    {TP_CALLER_INVALID, BAD_POOL_CALLER, "A pointer was freed where no block is allocated"},
    {TP_CALLER_MIDDLE, BAD_POOL_CALLER, "A pointer into the middle of a block was freed"},
    {TP_LOOKASIDE_UNKNOWN, VIOLATION, "A lookaside list was used that was not made, or was destroyed"},
    {TP_DMA_FREED_TOO_OFTEN, DMA_VIOLATION, "A common buffer was freed that is not allocated"},
    {TP_DMA_WRITTEN_OUTSIDE, DMA_VIOLATION, "Program or device wrote behind the end of a common buffer"},
    {TP_DMA_NOT_MAPPED, DMA_VIOLATION, "A common buffer was used that is not allocated"},
};

/* Every rule has its row. */
static const struct stop_row *stop_find(enum tp_rule rule)
{
    const struct stop_row *row = stop_rows;
    while (row->rule != rule)
        row++;
    return row;
}

void tp_stop(enum tp_rule rule, uintptr_t p2, uintptr_t p3, uintptr_t p4, const void *address, uint32_t tag)
{
    char buffer[512];
    struct tp_text text = {.at = buffer, .size = sizeof(buffer)};
    const struct stop_row *row = stop_find(rule);
    const uintptr_t parameters[4] = {rule, p2, p3, p4};
    tp_text_add(&text, "*** STOP: ");
    tp_text_hex(&text, row->code, 8);
    for (int i = 0; i < 4; i++) {
        tp_text_add(&text, i == 0 ? " (" : ", ");
        tp_text_hex(&text, parameters[i], 16);
    }
    tp_text_add(&text, ") ");
    tp_text_add(&text, row->name);
    tp_text_char(&text, '\n');
    tp_text_add(&text, row->sentence);
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
