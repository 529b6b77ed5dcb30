/*
 * Settings of the verifier, as words: "special=auto tags=Conn,Req* sizes=100-200 track quarantine=4096".
 *
 *   special=auto[:PERCENT]|all|sample:N      ends=over|under|mixed       exact      track=site|stacks|full
 *   tags=PATTERN,...               sizes=A-B                   harden     leaks     watch
 *   guard=madvise|userfault|protect                            quarantine=N
 *   fail=probability:N,tag:PATTERN,site:PATTERN,nth:N,after:MS
 *   systematic=FILE:RUN            systematic-only=HASH, in hexadecimal digits
 *
 * After a word `;` others begin, with tags and sizes of their own.
 *
 * `tagpool` writes them, and checks what people say; what it does not know here is left out.
 */
#ifndef TP_SETTINGS_H
#define TP_SETTINGS_H

#include "guard.h"

#include <tagpool/segment.h>

#define TP_SETTINGS_PATH 256

struct tp_settings {
    struct tagpool_segment_rule rules[TAGPOOL_SEGMENT_RULES];
    uint32_t count;
    enum tp_guard_kind guards;
    uint32_t quarantine; /* 0: the default */
    uint32_t budget;     /* percent of auto */
    bool leaks;
    bool harden;
    char systematic[TP_SETTINGS_PATH]; /* empty: not given */
    bool has_systematic_only;
    uint64_t systematic_only;
};

/* Read words, apart by blanks, to what was read before.  False: some of them were not known. */
bool tp_settings_read(struct tp_settings *settings, const char *words);

/* Whether a name fits a pattern: `?` one character, `*` the rest. */
bool tp_settings_match(const char *pattern, const char *name);

#endif
