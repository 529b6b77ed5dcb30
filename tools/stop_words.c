#include "stop_words.h"

#include <stddef.h>
#include <tagpool/report.h>

enum { STOP_WORDS_MOST = 8 };

static const char *const stop_words[STOP_WORD_SETS][STOP_WORDS_MOST] = {
    [STOP_WORD_RECORD] = {[TAGPOOL_REPORT_STOP_RECORD] = "stop",
                          [TAGPOOL_REPORT_LEAK_RECORD] = "leak",
                          [TAGPOOL_REPORT_FAULT_RECORD] = "fault",
                          [TAGPOOL_REPORT_END_RECORD] = "end",
                          [TAGPOOL_REPORT_CRASH_RECORD] = "crash"},
    [STOP_WORD_ACCESS] = {[TAGPOOL_REPORT_READ] = "read", [TAGPOOL_REPORT_WRITE] = "write"},
    [STOP_WORD_KEEPER] = {[TAGPOOL_REPORT_ORDINARY] = "ordinary",
                          [TAGPOOL_REPORT_WATCHED] = "watched",
                          [TAGPOOL_REPORT_SPECIAL] = "special pool"},
    [STOP_WORD_STATE] = {[TAGPOOL_REPORT_LIVE] = "live", [TAGPOOL_REPORT_FREED] = "freed"},
    [STOP_WORD_FACE] = {[TAGPOOL_REPORT_MALLOC] = "malloc",
                        [TAGPOOL_REPORT_NEW] = "new",
                        [TAGPOOL_REPORT_NEW_ARRAY] = "new[]",
                        [TAGPOOL_REPORT_API] = "tagpool_alloc"},
    [STOP_WORD_LEAK] = {[TAGPOOL_REPORT_LOST] = "lost",
                        [TAGPOOL_REPORT_POSSIBLY_LOST] = "possibly lost",
                        [TAGPOOL_REPORT_REACHABLE] = "reachable"},
};

const char *stop_word(enum stop_words set, uint32_t number)
{
    return number < STOP_WORDS_MOST ? stop_words[set][number] : NULL;
}
