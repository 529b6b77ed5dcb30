#include "stoprule.h"

#include <stdbool.h>
#include <stddef.h>
#include <tagpool/rules.h>

#define X(name, code) STOPRULE_##name = code,
enum { TAGPOOL_STOP_CODES(X) };
#undef X

static const struct {
    uint32_t code;
    const char *name;
} stoprule_codes[] = {
#define X(name, code) {code, #name},
    TAGPOOL_STOP_CODES(X)
#undef X
};

/* Rows are counted from 1. */
static const struct stoprule stoprule_rows[] = {{.name = NULL},
#define X(name, code, at, constant, p1, p2, p3, p4, sentence, advice)                                                  \
    {#name, STOPRULE_##code, at, constant, {p1, p2, p3, p4}, sentence, advice},
                                                TAGPOOL_RULES(X)
#undef X
};

#define STOPRULE_COUNT (sizeof(stoprule_rows) / sizeof(stoprule_rows[0]))

static bool stoprule_fits(const struct stoprule *row, const struct tagpool_report_stop *stop)
{
    return row->name != NULL && row->code == stop->code &&
           (row->constant_at == 0 || stop->parameters[row->constant_at - 1] == row->constant);
}

/* By number where code and parameters agree with it; the library may have been made with another table. */
const struct stoprule *stoprule_find(const struct tagpool_report_stop *stop)
{
    if (stop->rule < STOPRULE_COUNT && stoprule_fits(&stoprule_rows[stop->rule], stop))
        return &stoprule_rows[stop->rule];
    for (size_t i = 1; i < STOPRULE_COUNT; i++)
        if (stoprule_fits(&stoprule_rows[i], stop))
            return &stoprule_rows[i];
    return NULL;
}

const char *stoprule_code_name(uint32_t code)
{
    for (size_t i = 0; i < sizeof(stoprule_codes) / sizeof(stoprule_codes[0]); i++)
        if (stoprule_codes[i].code == code)
            return stoprule_codes[i].name;
    return "UNKNOWN";
}
