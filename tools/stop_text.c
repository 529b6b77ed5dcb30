#include "stop_text.h"
#include "label.h"
#include "stoprule.h"

#include <inttypes.h>
#include <string.h>

static void stop_text_put_title(FILE *out, const struct tagpool_report_stop *stop)
{
    fprintf(out, "*** STOP: 0x%08X (0x%016" PRIX64 ", 0x%016" PRIX64 ", 0x%016" PRIX64 ", 0x%016" PRIX64 ") %s\n",
            stop->code, stop->parameters[0], stop->parameters[1], stop->parameters[2], stop->parameters[3],
            stoprule_code_name(stop->code));
}

void stop_text_stop(FILE *out, const struct reportfile_record *record, bool is_color)
{
    const struct stoprule *rule = stoprule_find(&record->stop);
    (void)is_color;
    stop_text_put_title(out, &record->stop);
    fprintf(out, "%s.\n\n", rule != NULL ? rule->sentence : "A rule was broken that this tagpool does not know");
}

void stop_text_leak(FILE *out, const struct reportfile_record *record, bool is_color)
{
    (void)is_color;
    fprintf(out, "lost: %" PRIu64 " blocks, %" PRIu64 " bytes\n", record->leak.blocks, record->leak.bytes);
}

void stop_text_fault(FILE *out, const struct reportfile_record *record)
{
    fprintf(out, "An allocation of %" PRIu64 " bytes was made to fail.\n", record->fault.size);
}

void stop_text_counters(FILE *out, const struct reportfile_record *record)
{
    (void)out;
    (void)record;
}
