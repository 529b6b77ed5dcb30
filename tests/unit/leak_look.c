#include "leak_look.h"

#include "tag.h"

struct tp_leak_result found;
void *volatile kept;
uintptr_t hidden[MANY];

static TP_NOINLINE const struct tp_leak_result *look_below(const uint16_t *slots, int *error)
{
    return tp_inquest_hold(slots, (uintptr_t)__builtin_frame_address(0), error);
}

TP_NOINLINE void look_for(const uint16_t *slots)
{
    int error;
    __builtin_unwind_init();
    const struct tp_leak_result *result = look_below(slots, &error);
    ck_assert_int_eq(error, 0);
    found = *result;
    tp_inquest_release(result);
}

void look(void)
{
    look_for(NULL);
}

TP_NOINLINE void wipe(void)
{
    volatile char stack[64 * 1024];
    for (size_t i = 0; i < sizeof(stack); i++)
        stack[i] = 0;
}

static TP_NOINLINE void deep(void (*work)(void))
{
    volatile char stack[16 * 1024];
    stack[0] = 1;
    work();
    ck_assert_int_eq(stack[0], 1);
}

void do_deep(void (*work)(void))
{
    deep(work);
    wipe();
}

uint64_t blocks_of(tagpool_tag_t tag, enum tagpool_report_leak_class class)
{
    uint64_t blocks = 0;
    for (uint32_t i = 0; i < found.group_count; i++)
        if (tp_tags[found.groups[i].slot].tag == tag && found.groups[i].leak_class == class)
            blocks += found.groups[i].blocks;
    return blocks;
}

void *make(size_t size)
{
    void *block = tagpool_zalloc(TAGPOOL_PAGED, size, TAG);
    ck_assert_ptr_nonnull(block);
    return block;
}

void begin(void)
{
    kept = tagpool_zalloc(TAGPOOL_PAGED, SIZE, BAIT); /* it led to the next free block, else */
}

void make_one(void)
{
    hidden[0] = ~(uintptr_t)make(SIZE);
}

void make_kept(void)
{
    kept = make(SIZE);
}

struct node *make_chain(int length)
{
    struct node *first = NULL;
    for (int i = 0; i < length; i++) {
        struct node *node = make(sizeof(*node));
        node->next = first;
        first = node;
    }
    return first;
}
