/*
 * Leaks: the blocks of a process by whether it can still reach them, from an image of its memory.
 *
 * The library looks at a frozen copy of itself (inquest.h), the tools at another process; both by this.
 *
 *   lost            no pointer leads there, or only from other lost blocks
 *   possibly lost   pointers lead into its middle alone, or from such a block
 *   reachable       the rest
 *
 * Blocks are put together by class, tag and the stack that allocated them.  Those of which the site alone is known
 * (trace.h) belong to the stack that begins with it, if there is just one.  A block on its way from hand to hand may be
 * in no place that a scan knows of, so where other threads ran the process is looked at twice: what is lost stays lost,
 * and counts where both looks say so.
 */
#ifndef TP_LEAK_H
#define TP_LEAK_H

#include "image.h"

#include <tagpool/report.h>

#define TP_LEAK_CLASSES (TAGPOOL_REPORT_REACHABLE + 1)

/* Groups of lost and possibly lost blocks that are told of, the largest; reachable ones are one group a slot. */
#define TP_LEAK_LOST_GROUPS 1000u
#define TP_LEAK_GROUPS (TP_LEAK_LOST_GROUPS + 16384u)

struct tp_leak_group {
    uint32_t leak_class; /* enum tagpool_report_leak_class */
    uint32_t slot;
    uint32_t stack; /* number of stack.h; 0: not known */
    uint32_t reserved;
    uint64_t blocks;
    uint64_t bytes;
};

/* Blocks that were not reached: what a second look goes by. */
struct tp_leak_suspects {
    uint64_t count;
    uint64_t room;
    bool is_full;    /* there were more, which all lie behind the last one */
    uint64_t keys[]; /* which they are (leak.c): rising */
};

struct tp_leak_result {
    uint64_t blocks[TP_LEAK_CLASSES]; /* by class */
    uint64_t bytes[TP_LEAK_CLASSES];
    uint64_t groups_left_out;
    uint32_t group_count;
    struct tp_leak_group groups[TP_LEAK_GROUPS]; /* by class, and the largest first */
};

struct tp_leak_look {
    struct tp_image *image;
    uintptr_t chart;        /* address of the chart (chart.h), as the segment's header has it */
    const uintptr_t *words; /* registers */
    size_t word_count;
    const uintptr_t *stacks; /* stack pointers */
    size_t stack_count;
    size_t red_zone;                   /* bytes below them that are in use */
    const uint16_t *slots;             /* 0 for those that are not looked for; NULL: all are */
    bool by_stack;                     /* else stacks make no difference */
    struct tp_leak_suspects *suspects; /* or NULL */
    bool is_second;
};

/*
 * 0 and *result; or -EPROTO: the process is of another version; -ENOMEM: no memory to work with; another errno: its
 * memory or mappings cannot be read.
 */
int tp_leak_find(const struct tp_leak_look *look, struct tp_leak_result *result);

/* The frames of a group's stack, innermost first; their number, 0: not known.  Stacks stay where they are. */
unsigned tp_leak_frames(struct tp_image *image, uintptr_t chart, uint32_t stack, uintptr_t *frames, unsigned most);

#endif
