#include "sample.h"
#include "inject.h"

static uint32_t sample_draw(uint32_t one_in)
{
    return tp_inject_coin((uint32_t)tp_min((uint64_t)one_in * 2 - 1, UINT32_MAX));
}

/* A gate of no thread has nowhere to count. */
bool tp_sample_is_turn(struct tp_gate *gate, uint32_t one_in)
{
    if (one_in <= 1 || gate->thread == NULL)
        return one_in <= 1 || tp_inject_coin(one_in) == 0;
    if (gate->sample_one_in != one_in) {
        gate->sample_one_in = one_in;
        gate->sample_skips = sample_draw(one_in);
    }
    if (gate->sample_skips > 0) {
        gate->sample_skips--;
        return false;
    }
    gate->sample_skips = sample_draw(one_in);
    return true;
}
