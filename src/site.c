#include "site.h"
#include "limit.h"
#include "os.h"
#include "tag.h"
#include "text.h"

#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <string.h>

/* Frames walked through transparent code before the innermost library is charged after all. */
#define SITE_WALK_MAX 32

bool tp_site_by_address;
void (*tp_site_switched)(uint64_t epoch);

/* Libraries that act for their callers, by the beginning of their file names.  The list ends by NULL. */
#define SITE_THROUGH_MAX 32
static const char *site_through[SITE_THROUGH_MAX + 1] = {"libc.so", "libstdc++.so", "libglib-2.0.so", "libtagpool"};
static char site_through_names[1024];

/* --- the gate's table ----------------------------------------------------------------------------------------- */

/* The newer entry of a set comes first.  One that is there changes in place: a slot got its heap. */
static void site_enter(struct tp_gate *gate, uint64_t key, struct tp_heap *heap)
{
    struct tp_site_entry *set = tp_site_set(gate, key);
    if (set[0].key == key) {
        set[0].heap = heap;
        return;
    }
    set[1] = set[0];
    set[0] = (struct tp_site_entry){key, heap};
    gate->parts |= UINT64_C(1) << (size_t)(set - gate->sites) / TP_GATE_PART;
}

static void site_check_epoch(struct tp_gate *gate)
{
    uint64_t epoch = tp_peek(&tp_segment_control->epoch);
    if (TP_LIKELY(gate->epoch == epoch))
        return;
    tp_gate_clear(gate);
    tp_poke(&gate->epoch, epoch);
    tp_limit_follow_control(epoch);
    if (tp_site_switched != NULL)
        tp_site_switched(epoch);
}

static void site_enter_slot(struct tp_thread *thread, uint64_t key, uint32_t slot)
{
    bool is_fast = slot != TP_SLOT_TRANSPARENT && !tp_limit_is_near(slot) && !tp_tag_is_concerned(slot);
    struct tp_heap *heap = is_fast ? thread->slots[slot].heap : NULL;
    site_enter(thread->gate, key, heap != NULL ? heap : tp_heap_cold(slot));
}

/* The slot an entry stands for; false: no such entry. */
static bool site_look_up(struct tp_thread *thread, uint64_t key, uint32_t *slot)
{
    struct tp_site_entry *entry = tp_site_find(thread->gate, key);
    if (entry == NULL)
        return false;
    if (!tp_heap_is_cold(entry->heap, slot)) {
        *slot = entry->heap->slot;
        return true;
    }
    if (*slot != TP_SLOT_TRANSPARENT && thread->slots[*slot].heap != NULL)
        site_enter_slot(thread, key, *slot);
    return true;
}

/* --- libraries ------------------------------------------------------------------------------------------------ */

static const char *site_base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

static bool site_is_transparent(const char *name)
{
    for (const char **through = site_through; *through != NULL; through++)
        if (strncmp(name, *through, strlen(*through)) == 0)
            return true;
    return false;
}

const char *tp_site_library_name(const struct dl_find_object *object)
{
    const char *path = object->dlfo_link_map->l_name;
    if (path != NULL && path[0] != '\0')
        return site_base_name(path);
    return program_invocation_short_name != NULL ? program_invocation_short_name : "program";
}

static uint32_t site_slot_of_pc(uintptr_t pc)
{
    struct dl_find_object object;
    /* The last instruction of a library may be a call: look at the call, not behind it. */
    if (_dl_find_object((void *)(pc - 1), &object) != 0)
        return tp_tag_open_named("(generated code)", TAGPOOL_SEGMENT_MODULE);
    const char *name = tp_site_library_name(&object);
    if (site_is_transparent(name))
        return TP_SLOT_TRANSPARENT;
    if (!tp_site_by_address)
        return tp_tag_open_named(name, TAGPOOL_SEGMENT_MODULE);
    char buffer[TAGPOOL_SEGMENT_NAME];
    struct tp_text text = {.at = buffer, .size = sizeof(buffer) - 20};
    tp_text_add(&text, name);
    text.size = sizeof(buffer) - 1;
    tp_text_char(&text, '+');
    tp_text_hex(&text, pc - object.dlfo_link_map->l_addr, 1);
    buffer[text.length] = '\0';
    return tp_tag_open_named(buffer, TAGPOOL_SEGMENT_SITE);
}

/* --- the walk ------------------------------------------------------------------------------------------------- */

static uint32_t site_at(struct tp_thread *thread, uintptr_t pc)
{
    uint32_t slot;
    if (thread == NULL)
        return site_slot_of_pc(pc);
    uint64_t key = tp_site_by_address ? tp_site_key(TP_KEY_SITE, pc) : tp_site_key(TP_KEY_CALL, tp_site_call_value(pc));
    if (site_look_up(thread, key, &slot))
        return slot;
    slot = site_slot_of_pc(pc);
    site_enter_slot(thread, key, slot);
    return slot;
}

/* A rule is kept where a heap would be; the key says which it is. */
static struct tp_frame_rule site_rule_at(struct tp_thread *thread, uintptr_t pc)
{
    if (thread == NULL)
        return tp_frame_rule_at(pc);
    struct tp_frame_rule rule;
    uint64_t key = tp_site_key(TP_KEY_FRAME, pc);
    struct tp_site_entry *entry = tp_site_find(thread->gate, key);
    if (entry != NULL) {
        memcpy(&rule, &entry->heap, sizeof(rule));
        return rule;
    }
    struct tp_heap *kept;
    rule = tp_frame_rule_at(pc);
    memcpy(&kept, &rule, sizeof(kept));
    site_enter(thread->gate, key, kept);
    return rule;
}

static bool site_step(struct tp_thread *thread, const struct tp_call *call, struct tp_frame *frame)
{
    struct tp_frame_rule rule = site_rule_at(thread, frame->pc);
    if ((rule.base == TP_FRAME_FROM_FP || rule.base == TP_FRAME_FROM_SLOT) && !frame->fp_known)
        frame->fp_known = tp_frame_recover_fp(call, tp_frame_rule_at, &frame->fp);
    return tp_frame_step(frame, rule);
}

/* The library that is charged when a walk finds none that is opaque. */
static uint32_t site_slot_of_transparent(uintptr_t pc)
{
    struct dl_find_object object;
    if (_dl_find_object((void *)(pc - 1), &object) != 0)
        return tp_tag_open_named("(generated code)", TAGPOOL_SEGMENT_MODULE);
    return tp_tag_open_named(tp_site_library_name(&object), TAGPOOL_SEGMENT_MODULE);
}

uint32_t tp_site_slot_of_call(struct tp_thread *thread, const struct tp_call *call)
{
    struct tp_frame frame = {.pc = call->pc, .sp = call->sp};
    if (thread != NULL)
        site_check_epoch(thread->gate);
    for (int i = 0; i < SITE_WALK_MAX; i++) {
        uint32_t slot = site_at(thread, frame.pc);
        if (slot != TP_SLOT_TRANSPARENT)
            return slot;
        if (!site_step(thread, call, &frame))
            break;
    }
    return site_slot_of_transparent(call->pc);
}

uint32_t tp_site_slot_of_tag(struct tp_thread *thread, uint32_t tag, enum tp_layout layout)
{
    uint32_t slot;
    if (thread == NULL)
        return tp_tag_open(tag, layout);
    site_check_epoch(thread->gate);
    uint64_t key = tp_site_key(TP_KEY_TAG, tp_site_tag_value(tag, layout));
    if (site_look_up(thread, key, &slot))
        return slot;
    slot = tp_tag_open(tag, layout);
    site_enter_slot(thread, key, slot);
    return slot;
}

uint32_t tp_site_slot_of_handle(struct tp_thread *thread, uint32_t slot)
{
    uint32_t known;
    if (thread == NULL)
        return slot;
    site_check_epoch(thread->gate);
    uint64_t key = tp_site_key(TP_KEY_HANDLE, slot);
    if (!site_look_up(thread, key, &known))
        site_enter_slot(thread, key, slot);
    return slot;
}

/* --- settings ------------------------------------------------------------------------------------------------- */

static size_t site_through_count(void)
{
    size_t count = 0;
    while (site_through[count] != NULL)
        count++;
    return count;
}

/* "libfoo.so,libbar": beginnings of file names. */
static void site_read_through(const char *list)
{
    size_t count = site_through_count();
    char *to = site_through_names;
    char *end = site_through_names + sizeof(site_through_names) - 1;
    while (*list != '\0' && count < SITE_THROUGH_MAX) {
        const char *name = to;
        while (*list != '\0' && *list != ',' && to < end)
            *to++ = *list++;
        if (to == end)
            return;
        *to++ = '\0';
        if (*name != '\0')
            site_through[count++] = name;
        if (*list == ',')
            list++;
    }
}

void tp_site_init(void)
{
    const char *tags = tp_os_environment("TAGPOOL_TAGS");
    const char *through = tp_os_environment("TAGPOOL_THROUGH");
    if (tags != NULL && strcmp(tags, "site") == 0)
        tp_site_by_address = true;
    if (through != NULL)
        site_read_through(through);
}

void tp_site_forget_all(void)
{
    if (tp_segment == NULL)
        return; /* nothing was allocated yet, so nothing is remembered */

    tp_thread_self(); /* a forked child must not write its parent's */
    tp_segment_next_epoch();
}
