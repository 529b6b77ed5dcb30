#include "walk.h"
#include "os.h"

#include <string.h>

#define WALK_PC_BITS 48
#define WALK_SET_BITS 12
#define WALK_REST_BITS (WALK_PC_BITS - WALK_SET_BITS)
#define WALK_SETS (1u << WALK_SET_BITS)
#define WALK_WAYS 4
#define WALK_FACTOR UINT64_C(0x9e3779b97f4a7c15)

/* Fields of a rule in an entry, from the lowest bit: base, CFA, return address, saved frame pointer; in words. */
enum { WALK_BASE_BITS = 3, WALK_CFA_BITS = 13, WALK_RETURN_BITS = 5, WALK_FP_BITS = 7 };
enum {
    WALK_CFA_SHIFT = WALK_BASE_BITS,
    WALK_RETURN_SHIFT = WALK_CFA_SHIFT + WALK_CFA_BITS,
    WALK_FP_SHIFT = WALK_RETURN_SHIFT + WALK_RETURN_BITS,
    WALK_RULE_BITS = WALK_FP_SHIFT + WALK_FP_BITS,
};

_Static_assert(WALK_RULE_BITS + WALK_REST_BITS == 64, "W1");
_Static_assert(TP_FRAME_OUTERMOST < 1 << WALK_BASE_BITS, "W1");

/* No code lies below. */
#define WALK_LOWEST_PC TP_OS_PAGE

struct walk_set {
    uint64_t words[WALK_WAYS]; /* the newest first; 0: none */
};

static struct walk_set *walk_sets;

/* --- the table ------------------------------------------------------------------------------------------------ */

static uint64_t walk_field(uint64_t word, unsigned shift, unsigned bits)
{
    return word >> shift & ((UINT64_C(1) << bits) - 1);
}

TP_INLINE struct tp_frame_rule walk_unpack(uint64_t word)
{
    const uint64_t sign = UINT64_C(1) << (WALK_CFA_BITS - 1);
    int64_t cfa_words = (int64_t)((walk_field(word, WALK_CFA_SHIFT, WALK_CFA_BITS) ^ sign) - sign);
    return (struct tp_frame_rule){
        .base = (uint8_t)walk_field(word, 0, WALK_BASE_BITS),
        .cfa_offset = (int32_t)(cfa_words * 8),
        .return_offset = (int16_t)(-8 * (int)walk_field(word, WALK_RETURN_SHIFT, WALK_RETURN_BITS)),
        .fp_slot = (int8_t)(-(int)walk_field(word, WALK_FP_SHIFT, WALK_FP_BITS)),
    };
}

/* 0 for a rule whose numbers do not fit: frames of 32 KiB, code without tables, which may get some later. */
static uint64_t walk_pack(struct tp_frame_rule rule)
{
    const uint64_t cfa_mask = (UINT64_C(1) << WALK_CFA_BITS) - 1;
    const uint64_t return_mask = (UINT64_C(1) << WALK_RETURN_BITS) - 1;
    uint64_t packed = rule.base | ((uint64_t)(rule.cfa_offset / 8) & cfa_mask) << WALK_CFA_SHIFT |
                      ((uint64_t)(-rule.return_offset / 8) & return_mask) << WALK_RETURN_SHIFT |
                      ((uint64_t)-rule.fp_slot & ((1u << WALK_FP_BITS) - 1)) << WALK_FP_SHIFT;
    struct tp_frame_rule again = walk_unpack(packed);
    return rule.base != TP_FRAME_UNKNOWN && memcmp(&again, &rule, sizeof(rule)) == 0 ? packed : 0;
}

/* Whoever is second gives its table back. */
static TP_NOINLINE struct walk_set *walk_create(void)
{
    const size_t size = WALK_SETS * sizeof(struct walk_set);
    struct walk_set *none = NULL;
    struct walk_set *sets = tp_os_reserve(size);
    if (sets == NULL)
        return NULL;
    if (tp_os_commit(sets, size) == 0 &&
        __atomic_compare_exchange_n(&walk_sets, &none, sets, false, __ATOMIC_RELEASE, __ATOMIC_ACQUIRE))
        return sets;
    tp_os_release(sets, size);
    return none;
}

static void walk_keep(struct walk_set *set, uint64_t rest, struct tp_frame_rule rule)
{
    uint64_t packed = walk_pack(rule);
    if (packed == 0)
        return;
    for (int way = WALK_WAYS - 1; way > 0; way--)
        tp_poke(&set->words[way], tp_peek(&set->words[way - 1]));
    tp_poke(&set->words[0], rest << WALK_RULE_BITS | packed);
}

static TP_NOINLINE struct tp_frame_rule walk_find_rule(struct walk_set *set, uint64_t rest, uintptr_t pc)
{
    struct tp_frame_rule rule = tp_frame_rule_at(pc);
    walk_keep(set, rest, rule);
    return rule;
}

TP_INLINE struct tp_frame_rule walk_rule_at(uintptr_t pc)
{
    struct walk_set *sets = __atomic_load_n(&walk_sets, __ATOMIC_ACQUIRE);
    if (TP_UNLIKELY(sets == NULL))
        sets = walk_create();
    if (TP_UNLIKELY(sets == NULL || pc >> WALK_PC_BITS != 0))
        return tp_frame_rule_at(pc);
    uint64_t product = pc * WALK_FACTOR & ((UINT64_C(1) << WALK_PC_BITS) - 1);
    uint64_t rest = product & ((UINT64_C(1) << WALK_REST_BITS) - 1);
    struct walk_set *set = &sets[product >> WALK_REST_BITS];
    for (int way = 0; way < WALK_WAYS; way++) {
        uint64_t word = tp_peek(&set->words[way]);
        if (word >> WALK_RULE_BITS == rest && word != 0)
            return walk_unpack(word);
    }
    return walk_find_rule(set, rest, pc);
}

TP_NOINLINE struct tp_frame_rule tp_walk_rule_at(uintptr_t pc)
{
    return walk_rule_at(pc);
}

void tp_walk_forget_rules(void)
{
    struct walk_set *sets = __atomic_load_n(&walk_sets, __ATOMIC_ACQUIRE);
    for (unsigned i = 0; sets != NULL && i < WALK_SETS; i++)
        for (int way = 0; way < WALK_WAYS; way++)
            tp_poke(&sets[i].words[way], 0);
}

/* --- the walk ------------------------------------------------------------------------------------------------- */

/* The register is looked for once: without success there is none. */
static void walk_recover_fp(struct tp_walk *walk)
{
    if (walk->frame.fp_known || walk->call == NULL)
        return;
    walk->frame.fp_known = tp_frame_recover_fp(walk->call, tp_walk_rule_at, &walk->frame.fp);
    walk->call = NULL;
}

/* As code with a frame pointer lays it out: the caller's, and above it the return address. */
static bool walk_follow_fp(struct tp_walk *walk)
{
    uintptr_t fp, pc;
    walk_recover_fp(walk);
    if (!walk->frame.fp_known || walk->frame.fp < walk->frame.sp || walk->frame.fp - walk->frame.sp > 64 * TP_MIB)
        return false;
    if (!tp_extent_read(&walk->extent, walk->frame.fp, &fp) ||
        !tp_extent_read(&walk->extent, walk->frame.fp + sizeof(fp), &pc) ||
        tp_walk_rule_at(pc).base == TP_FRAME_UNKNOWN)
        return false;
    walk->frame = (struct tp_frame){pc, walk->frame.fp + 2 * sizeof(fp), fp, true};
    return true;
}

static bool walk_leave_signal(struct tp_walk *walk)
{
    if (!tp_frame_leave_signal(&walk->extent, &walk->frame))
        return false;
    walk->call = NULL;
    tp_extent_open(&walk->extent, walk->frame.sp);
    return true;
}

/* Steps that are not like most. */
static TP_NOINLINE bool walk_step_slow(struct tp_walk *walk, struct tp_frame_rule rule)
{
    switch (rule.base) {
    case TP_FRAME_OUTERMOST: return false;
    case TP_FRAME_SIGNAL: return walk_leave_signal(walk);
    case TP_FRAME_UNKNOWN: return walk_follow_fp(walk);
    }
    walk_recover_fp(walk);
    return tp_frame_step_within(&walk->extent, &walk->frame, rule);
}

/* The frame of most steps stays in registers. */
unsigned tp_walk_run(struct tp_walk *walk, uintptr_t *frames, unsigned most)
{
    struct tp_frame frame = walk->frame;
    unsigned count = 0;
    while (count < most) {
        frames[count++] = frame.pc;
        if (count == most)
            break;
        struct tp_frame_rule rule = walk_rule_at(frame.pc);
        bool goes_on;
        if (TP_LIKELY(rule.base == TP_FRAME_FROM_SP || (rule.base == TP_FRAME_FROM_FP && frame.fp_known))) {
            goes_on = tp_frame_step_within(&walk->extent, &frame, rule);
        } else {
            walk->frame = frame;
            goes_on = walk_step_slow(walk, rule);
            frame = walk->frame;
        }
        if (!goes_on || frame.pc < WALK_LOWEST_PC)
            break;
    }
    return count;
}
