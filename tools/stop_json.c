#include "stop_json.h"

void stop_json_record(FILE *out, const struct reportfile_record *record)
{
    fprintf(out, "{\"pid\":%u}\n", record->head.pid);
}
