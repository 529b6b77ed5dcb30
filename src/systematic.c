#include "systematic.h"
#include "os.h"
#include "stack.h"
#include "tag.h"
#include "tell.h"
#include "trap.h"

#include <string.h>
#include <tagpool/claims.h>

#define SYSTEMATIC_FRAMES 32u

/* Numbers of stacks, each a bit: the depot has no larger ones. */
#define SYSTEMATIC_NUMBERS (UINT64_C(1) << 26)
#define SYSTEMATIC_PATH 256

/* Where no file is shared: a run is a process. */
static struct tagpool_claims_run systematic_own_run;

static struct tagpool_claims_run *systematic_run; /* NULL: not in force */
static uint64_t *systematic_table;                /* NULL: none */
static uint64_t systematic_mask;
static bool systematic_has_only;
static uint64_t systematic_only;

/* Stacks that pass, by number: what was looked up once is not asked for again.  NULL: no memory. */
static uint64_t *systematic_passed;

/* --- the name of a stack -------------------------------------------------------------------------------------- */

static bool systematic_has(const uintptr_t *frames, unsigned count, uintptr_t pc)
{
    for (unsigned i = 0; i < count; i++)
        if (frames[i] == pc)
            return true;
    return false;
}

uint64_t tp_systematic_hash(const uintptr_t *frames, unsigned count)
{
    uintptr_t kept[SYSTEMATIC_FRAMES];
    unsigned kept_count = 0, recursive = 0;
    for (unsigned i = 0; i < count && kept_count < SYSTEMATIC_FRAMES; i++) {
        if (systematic_has(kept, kept_count, frames[i]))
            recursive = kept_count;
        else
            kept[kept_count++] = frames[i];
    }
    if (count >= TP_STACK_FRAMES && kept_count < SYSTEMATIC_FRAMES && recursive > 0)
        kept_count = recursive;
    uint64_t hash = tp_stack_hash(kept, kept_count);
    return hash != 0 ? hash : 1;
}

/* --- stacks that pass ----------------------------------------------------------------------------------------- */

static bool systematic_passes(uint32_t number)
{
    if (systematic_passed == NULL || number == 0 || number >= SYSTEMATIC_NUMBERS)
        return false;
    return (tp_peek(&systematic_passed[number / 64]) >> number % 64 & 1) != 0;
}

static void systematic_let_pass(uint32_t number)
{
    if (systematic_passed != NULL && number < SYSTEMATIC_NUMBERS)
        __atomic_fetch_or(&systematic_passed[number / 64], UINT64_C(1) << number % 64, __ATOMIC_RELAXED);
}

/* --- claims --------------------------------------------------------------------------------------------------- */

/* The place of a hash, or where it belongs; NULL: the table is full. */
static uint64_t *systematic_place(uint64_t hash)
{
    for (uint64_t i = 0; i <= systematic_mask; i++) {
        uint64_t *place = &systematic_table[(hash + i) & systematic_mask];
        uint64_t there = tp_peek(place);
        if (there == 0 || there == hash)
            return place;
    }
    return NULL;
}

static bool systematic_is_new(uint64_t hash)
{
    if (systematic_has_only || systematic_table == NULL)
        return hash == systematic_only;
    const uint64_t *place = systematic_place(hash);
    return place != NULL && tp_peek(place) == 0;
}

/* False: another run was faster, or there is no room. */
static bool systematic_enter(uint64_t hash)
{
    uint64_t *place, nothing = 0;
    if (systematic_table == NULL)
        return true;
    while ((place = systematic_place(hash)) != NULL) {
        nothing = 0;
        if (__atomic_compare_exchange_n(place, &nothing, hash, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
            return true;
        if (nothing == hash)
            break;
    }
    return systematic_has_only && place != NULL;
}

/* Y1: the run first, so that a stack that is entered surely fails. */
static bool systematic_claim(uint64_t hash)
{
    struct tagpool_claims_run *run = systematic_run;
    uint64_t nothing = 0;
    if (!__atomic_compare_exchange_n(&run->hash, &nothing, hash, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
        return false;
    if (systematic_enter(hash)) {
        tp_poke(&run->pid, tp_os_process_id());
        return true;
    }
    __atomic_store_n(&run->hash, 0, __ATOMIC_RELEASE);
    return false;
}

/* --- the interface -------------------------------------------------------------------------------------------- */

/* Some of the engine's own requests have no call of the program's. */
static TP_NOINLINE unsigned systematic_capture(const struct tp_call *call, uintptr_t *frames)
{
    const struct tp_call here = {(uintptr_t)__builtin_return_address(0), (uintptr_t)__builtin_dwarf_cfa()};
    return tp_stack_capture(call->pc != 0 ? call : &here, frames, TP_STACK_FRAMES);
}

bool tp_systematic_decide(uint32_t slot, size_t size, const struct tp_call *call)
{
    uintptr_t frames[TP_STACK_FRAMES];
    if (systematic_run == NULL || tp_peek(&systematic_run->hash) != 0)
        return false;
    unsigned count = systematic_capture(call, frames);
    uint32_t number = tp_stack_put(frames, count);
    if (systematic_passes(number))
        return false;
    uint64_t hash = tp_systematic_hash(frames, count);
    if (!systematic_is_new(hash)) {
        systematic_let_pass(number);
        return false;
    }
    if (!systematic_claim(hash))
        return false;
    const struct tagpool_report_fault fault = {.stack_hash = hash, .size = size, .tag = tp_tags[slot].tag};
    tp_tell_fault(&fault, frames, count);
    return true;
}

void tp_systematic_end(void)
{
    if (systematic_run != NULL && tp_peek(&systematic_run->hash) != 0 &&
        tp_peek(&systematic_run->pid) == tp_os_process_id())
        tp_poke(&systematic_run->is_over, 1);
}

/* Where it crashed, not only what failed before: many stacks end in one place. */
static void systematic_note_crash(int number, const siginfo_t *info, const void *context)
{
    if (tp_peek(&systematic_run->hash) != 0)
        tp_tell_crash((uint32_t)number, info->si_code > 0 ? (uintptr_t)info->si_addr : 0, context, NULL);
}

/* "FILE:RUN": the number, and the path without it. */
static uint32_t systematic_split(char *path)
{
    uint32_t run = 0;
    char *colon = strrchr(path, ':');
    if (colon == NULL)
        return TAGPOOL_CLAIMS_RUNS;
    for (const char *digit = colon + 1; *digit >= '0' && *digit <= '9' && run < TAGPOOL_CLAIMS_RUNS; digit++)
        run = 10 * run + (uint32_t)(*digit - '0');
    *colon = '\0';
    return run;
}

/* What is no file of claims is left alone: nothing fails then but what is named. */
static void systematic_open(const char *text)
{
    char path[SYSTEMATIC_PATH];
    size_t size;
    strncpy(path, text, sizeof(path) - 1);
    path[sizeof(path) - 1] = '\0';
    uint32_t run = systematic_split(path);
    struct tagpool_claims *claims = run < TAGPOOL_CLAIMS_RUNS ? tp_os_map_own_file(path, &size) : NULL;
    if (claims == NULL)
        return;
    uint64_t capacity = size > sizeof(*claims) && claims->magic == TAGPOOL_CLAIMS_MAGIC ? claims->capacity : 0;
    if (!tp_is_power_of_two(capacity) || (size - sizeof(*claims)) / sizeof(uint64_t) < capacity) {
        tp_os_release(claims, size);
        return;
    }
    systematic_run = &claims->runs[run];
    systematic_table = (uint64_t *)(claims + 1);
    systematic_mask = capacity - 1;
}

void tp_systematic_init(const struct tp_systematic_options *options)
{
    const size_t size = SYSTEMATIC_NUMBERS / 8;
    systematic_run = &systematic_own_run;
    systematic_has_only = options->has_only;
    systematic_only = options->only;
    if (options->path[0] != '\0')
        systematic_open(options->path);
    systematic_passed = tp_os_reserve(size);
    if (systematic_passed != NULL && tp_os_commit(systematic_passed, size) != 0) {
        tp_os_release(systematic_passed, size);
        systematic_passed = NULL;
    }
    tp_trap_unhandled = systematic_note_crash;
    tp_systematic_end(); /* what failed was this process, and it went on to execute this program */
}
