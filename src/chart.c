#include "chart.h"

const struct tp_chart tp_chart = {
    .version = TP_CHART_VERSION,
    .sizes = TP_CHART_SIZES,
    .space = &tp_space,
    .areas = tp_areas,
    .backing = &tp_space_backing,
    .special = &tp_special_area,
    .lookasides = &tp_store_lists,
    .segment = &tp_segment,
    .depot = &tp_stack_depot,
    .seal = &tp_seal_secrets,
    .track_turns = tp_track_turns,
};
