#include "fatal.h"
#include "os.h"
#include "text.h"

#include <signal.h>
#include <stdlib.h>

bool (*tp_stop_tell)(const struct tp_violation *violation);

/* --- the table ------------------------------------------------------------------------------------------------ */

enum stop_code {
#define X(name, code) STOP_##name = (code),
    TAGPOOL_STOP_CODES(X)
#undef X
};

static const struct stop_code_row {
    uint32_t code;
    const char *name;
} stop_codes[] = {
#define X(name, code) {code, #name},
    TAGPOOL_STOP_CODES(X)
#undef X
};

static const struct stop_row {
    uint32_t code;
    unsigned constant_at; /* 1 to 4; 0: no parameter is constant */
    uintptr_t constant;
    const char *sentence;
} stop_rows[TP_RULE_COUNT] = {
#define X(name, code, at, constant, p1, p2, p3, p4, sentence, advice)                                                  \
    [TP_##name] = {STOP_##code, at, constant, sentence},
    TAGPOOL_RULES(X)
#undef X
};

static const char *stop_code_name(uint32_t code)
{
    const struct stop_code_row *row = stop_codes;
    while (row->code != code)
        row++;
    return row->name;
}

/* The parameters as the rule has them, from those that vary. */
static void stop_fill_parameters(struct tp_violation *violation, const uintptr_t varying[3])
{
    const struct stop_row *row = &stop_rows[violation->rule];
    violation->code = row->code;
    for (unsigned i = 0, next = 0; i < 4; i++) {
        if (i + 1 == row->constant_at)
            violation->parameters[i] = row->constant;
        else
            violation->parameters[i] = next < 3 ? varying[next++] : 0;
    }
}

/* --- saying it ------------------------------------------------------------------------------------------------ */

static void stop_add_headline(struct tp_text *text, const struct tp_violation *violation)
{
    tp_text_add(text, "*** STOP: ");
    tp_text_hex(text, violation->code, 8);
    for (int i = 0; i < 4; i++) {
        tp_text_add(text, i == 0 ? " (" : ", ");
        tp_text_hex(text, violation->parameters[i], 16);
    }
    tp_text_add(text, ") ");
    tp_text_add(text, stop_code_name(violation->code));
    tp_text_char(text, '\n');
}

static void stop_say(const struct tp_violation *violation)
{
    char buffer[512];
    struct tp_text text = {.at = buffer, .size = sizeof(buffer)};
    stop_add_headline(&text, violation);
    tp_text_add(&text, stop_rows[violation->rule].sentence);
    tp_text_add(&text, ": pointer ");
    tp_text_hex(&text, (uintptr_t)violation->address, 12);
    if (violation->tag != 0) {
        tp_text_add(&text, ", tag ");
        tp_text_tag(&text, violation->tag);
    }
    tp_text_add(&text, ", page ");
    tp_text_hex(&text, (uintptr_t)violation->address & ~(TP_OS_PAGE - 1), 12);
    tp_text_add(&text, ".\n");
    tp_os_write_stderr(text.at, text.length);
}

/* --- stopping ------------------------------------------------------------------------------------------------- */

/* The thread that stops; 0: none. */
static uint32_t stop_thread;

/* One report is enough: other threads wait for the end, and who breaks a rule while reporting brings it. */
static void stop_be_first(void)
{
    uint32_t self = tp_os_thread_id(), none = 0;
    if (__atomic_compare_exchange_n(&stop_thread, &none, self, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
        return;
    if (none == self)
        abort();
    for (;;)
        tp_os_sleep_ms(1000);
}

static __attribute__((noreturn)) void stop_for(struct tp_violation *violation, const uintptr_t varying[3])
{
    bool (*tell)(const struct tp_violation *) = tp_peek(&tp_stop_tell);
    stop_fill_parameters(violation, varying);
    tp_os_signals_hold(); /* a pipe with no reader, a file that may not grow, a handler that jumps away */
    stop_be_first();
    if (tell == NULL || !tell(violation))
        stop_say(violation);
    abort();
}

void tp_stop(enum tp_rule rule, uintptr_t a, uintptr_t b, uintptr_t c, const void *address, uint32_t tag)
{
    struct tp_violation violation = {.rule = rule, .address = address, .tag = tag};
    stop_for(&violation, (const uintptr_t[]){a, b, c});
}

void tp_stop_in_signal(enum tp_rule rule, uintptr_t a, uintptr_t b, uintptr_t c, const void *address, uint32_t tag,
                       const void *context)
{
    struct tp_violation violation = {.rule = rule, .address = address, .tag = tag, .context = context};
    stop_for(&violation, (const uintptr_t[]){a, b, c});
}

void tp_stop_touch(enum tp_rule rule, const void *address, bool is_write, size_t size, uint32_t tag)
{
    struct tp_violation violation = {.rule = rule, .address = address, .tag = tag, .size = size};
    stop_for(&violation, (const uintptr_t[]){(uintptr_t)address, is_write, (uintptr_t)__builtin_return_address(0)});
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
