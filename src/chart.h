/*
 * The chart: where the engine's parts lie in a process, for who reads its memory (image.h).
 *
 * The segment's header says where the chart is.  What is read through it are the engine's own structures, so that a
 * reader must have been built with the same ones: it compares their sizes.
 */
#ifndef TP_CHART_H
#define TP_CHART_H

#include "harden.h"
#include "magazine.h"
#include "mail.h"
#include "segment.h"
#include "side.h"
#include "special.h"
#include "stack.h"
#include "track.h"

/* Changes with each change of a structure's meaning that leaves its size alone. */
#define TP_CHART_VERSION 3u

struct tp_chart {
    uint32_t version;
    uint32_t sizes[12];
    const struct tp_space *space;
    const struct tp_area *areas;
    const enum tp_backing *backing;
    const struct tp_special_area *special;
    struct tp_lookaside *const *lookasides;
    struct tagpool_segment_header *const *segment;
    struct tp_stack_depot *const *depot;
    const struct tp_seal_secrets *seal;
    const uint16_t *track_turns;
};

#define TP_CHART_SIZES                                                                                                 \
    {                                                                                                                  \
        sizeof(struct tp_space), sizeof(struct tp_area) * TP_AREA_COUNT, sizeof(struct tp_page),                       \
            TP_WATCH_EACH, sizeof(struct tp_special_area), sizeof(struct tp_special),                                  \
            offsetof(struct tp_thread, slots), sizeof(struct tp_lookaside), sizeof(struct tp_magazine),                \
            sizeof(struct tp_stack_record), sizeof(struct tp_seal_secrets), sizeof(struct tp_harden_ring)              \
    }

/* This process's. */
extern const struct tp_chart tp_chart;

#endif
