#include "inject.h"
#include "os.h"
#include "settings.h"
#include "stack.h"
#include "tag.h"
#include "tell.h"
#include "text.h"

#include <dlfcn.h>
#include <link.h>
#include <string.h>

/* Chances are counted out of so many, as the original's are. */
#define INJECT_CHANCES 10000u

static uint64_t inject_state = UINT64_C(0x9e3779b97f4a7c15);

/* splitmix64: threads that draw at once draw different numbers. */
uint32_t tp_inject_coin(uint32_t sides)
{
    uint64_t z = __atomic_add_fetch(&inject_state, UINT64_C(0x9e3779b97f4a7c15), __ATOMIC_RELAXED);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return (uint32_t)(((z ^ z >> 31) & UINT32_MAX) * sides >> 32);
}

void tp_inject_begin(struct tp_inject *inject)
{
    inject->since_ms = tp_os_now_ms();
    inject->requests_total = 0;
}

/* "library" or "library+0xoffset"; a call from nowhere fits no site. */
static bool inject_is_site(const char *pattern, const struct tp_call *call)
{
    struct dl_find_object object;
    char name[128];
    if (call->pc == 0 || _dl_find_object((void *)(call->pc - 1), &object) != 0)
        return false;
    struct tp_text text = {.at = name, .size = sizeof(name) - 1};
    tp_text_add(&text, tp_site_library_name(&object));
    name[text.length] = '\0';
    if (tp_settings_match(pattern, name))
        return true;
    tp_text_char(&text, '+');
    tp_text_hex(&text, call->pc - object.dlfo_link_map->l_addr, 1);
    name[text.length] = '\0';
    return tp_settings_match(pattern, name);
}

bool tp_inject_decide(struct tp_inject *inject, const struct tagpool_segment_rule *rule, const struct tp_call *call)
{
    if (rule->fail_after_ms != 0 && tp_os_now_ms() - inject->since_ms < rule->fail_after_ms)
        return false;
    if (rule->site[0] != '\0' && !inject_is_site(rule->site, call))
        return false;
    uint64_t number = __atomic_add_fetch(&inject->requests_total, 1, __ATOMIC_RELAXED);
    if (rule->fail_nth != 0)
        return number == rule->fail_nth;
    return tp_inject_coin(INJECT_CHANCES) < rule->fail_chances;
}

/* --- the last one --------------------------------------------------------------------------------------------- */

/* Whole where the version is even, and the same before and after it was read; 0: there was none. */
static struct inject_fault {
    uint32_t version;
    uint32_t slot;
    uint32_t stack;
    size_t size;
} inject_last;

/* Of two threads at a time one has the last word. */
void tp_inject_note(uint32_t slot, size_t size, const struct tp_call *call)
{
    uintptr_t frames[TP_STACK_FRAMES];
    unsigned count = call->pc != 0 ? tp_stack_capture(call, frames, TP_STACK_FRAMES) : 0;
    uint32_t stack = tp_stack_put(frames, count), version = tp_peek(&inject_last.version);
    if (version % 2 != 0 || !__atomic_compare_exchange_n(&inject_last.version, &version, version + 1, false,
                                                         __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
        return;
    tp_poke(&inject_last.slot, slot);
    tp_poke(&inject_last.stack, stack);
    tp_poke(&inject_last.size, size);
    __atomic_store_n(&inject_last.version, version + 2, __ATOMIC_RELEASE);
}

/* Nobody is waited for: the program is dying. */
static bool inject_read_last(struct inject_fault *fault)
{
    fault->version = __atomic_load_n(&inject_last.version, __ATOMIC_ACQUIRE);
    fault->slot = tp_peek(&inject_last.slot);
    fault->stack = tp_peek(&inject_last.stack);
    fault->size = tp_peek(&inject_last.size);
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    return fault->version % 2 == 0 && tp_peek(&inject_last.version) == fault->version;
}

bool tp_inject_tell_last(void)
{
    struct inject_fault last;
    const uintptr_t *frames;
    if (tp_peek(&inject_last.version) == 0)
        return false;
    if (!inject_read_last(&last))
        return true;
    unsigned count = tp_stack_get(last.stack, &frames);
    const struct tagpool_report_fault fault = {
        .stack_hash = tp_stack_hash(frames, count), .size = last.size, .tag = tp_tags[last.slot].tag};
    tp_tell_fault(&fault, frames, count);
    return true;
}
