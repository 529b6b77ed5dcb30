/*
 * What is lost, possibly lost and reachable.
 */
#include "child.h"
#include "leak_look.h"
#include "unit.h"

#include "tag.h"

#include <tagpool/common_buffer.h>
#include <tagpool/iobuf.h>
#include <tagpool/lookaside.h>
#include <tagpool/scope.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* --- classes -------------------------------------------------------------------------------------------------- */

START_TEST(what_nothing_leads_to_is_lost)
{
    begin();
    do_deep(make_one);
    look();
    expect(TAG, 1, 0, 0);
    expect(BAIT, 0, 0, 1);
    ck_assert_uint_eq(found.blocks[TAGPOOL_REPORT_LOST], 1);
    ck_assert_uint_eq(found.bytes[TAGPOOL_REPORT_LOST], tagpool_size((void *)~hidden[0]));
    ck_assert_uint_eq(found.groups_left_out, 0);
    ck_assert_uint_eq(found.groups[0].leak_class, TAGPOOL_REPORT_LOST);
}
END_TEST

START_TEST(what_a_variable_leads_to_is_reachable)
{
    do_deep(make_kept);
    look();
    expect(TAG, 0, 0, 1);
    kept = NULL;
    look();
    expect(TAG, 1, 0, 0);
}
END_TEST

static void make_lost_chain(void)
{
    hidden[0] = ~(uintptr_t)make_chain(MANY);
}

static void make_kept_chain(void)
{
    kept = make_chain(100 * MANY);
}

START_TEST(chains_are_followed_whatever_their_length)
{
    do_deep(make_kept_chain);
    look();
    expect(TAG, 0, 0, 100 * MANY);
    kept = NULL;
    look();
    expect(TAG, 100 * MANY, 0, 0);
}
END_TEST

static void make_circle(void)
{
    struct node *first = make_chain(MANY), *last = first;
    while (last->next != NULL)
        last = last->next;
    last->next = first;
    first->other = last;
}

START_TEST(circles_are_lost)
{
    begin();
    do_deep(make_circle);
    do_deep(make_lost_chain);
    look();
    expect(TAG, 2 * MANY, 0, 0);
}
END_TEST

/* The stack of the scan has not so many places. */
static void make_wide(void)
{
    enum { WIDE = 300000 };
    struct node **table = make(WIDE * sizeof(*table));
    for (int i = 0; i < WIDE; i++)
        table[i] = make_chain(2);
    kept = table;
}

START_TEST(a_block_may_lead_to_any_number_of_others)
{
    do_deep(make_wide);
    look();
    expect(TAG, 0, 0, 600001);
    kept = (char *)kept + 8;
    look();
    expect(TAG, 0, 600001, 0);
    kept = NULL;
    look();
    expect(TAG, 600001, 0, 0);
}
END_TEST

static void make_entered(void)
{
    struct node *node = make(SIZE);
    node->next = make_chain(3);
    kept = (char *)node + 24;
}

START_TEST(what_is_entered_in_the_middle_is_possibly_lost)
{
    do_deep(make_entered);
    look();
    expect(TAG, 0, 4, 0);
    kept = (char *)kept + SIZE - 24; /* just behind what was asked for */
    look();
    expect(TAG, 0, 4, 0);
    kept = (char *)kept - SIZE;
    look();
    expect(TAG, 0, 0, 4);
}
END_TEST

static void make_both(void)
{
    static void *middle;
    struct node *node = make(SIZE);
    middle = &node->other;
    hidden[0] = ~(uintptr_t)&middle;
    kept = make_chain(1);
    ((struct node *)kept)->next = node;
}

START_TEST(one_pointer_to_the_beginning_is_enough)
{
    do_deep(make_both);
    look();
    expect(TAG, 0, 0, 2);
    kept = NULL;
    look();
    expect(TAG, 1, 1, 0);
}
END_TEST

/* --- roots ---------------------------------------------------------------------------------------------------- */

static __thread void *volatile local;

static void make_local(void)
{
    local = make(SIZE);
}

START_TEST(thread_local_variables_are_roots)
{
    do_deep(make_local);
    look();
    expect(TAG, 0, 0, 1);
    local = NULL;
    look();
    expect(TAG, 1, 0, 0);
}
END_TEST

static TP_NOINLINE void look_with_a_frame(void)
{
    void *volatile here = (void *)~hidden[0];
    look();
    ck_assert_ptr_nonnull(here);
}

START_TEST(the_stack_is_a_root_down_to_the_caller)
{
    begin();
    do_deep(make_one);
    look_with_a_frame();
    expect(TAG, 0, 0, 1);
    wipe();
    look();
    expect(TAG, 1, 0, 0);
}
END_TEST

#if defined(__x86_64__)
static TP_NOINLINE void look_with_a_register(void)
{
    __asm__ volatile("movq %0, %%r12\n\tnotq %%r12\n\tcall *%1\n\txorl %%r12d, %%r12d"
                     :
                     : "m"(hidden[0]), "r"(look)
                     : "r12", "rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "memory", "cc");
}
#else
static void look_with_a_register(void)
{
    look_with_a_frame();
}
#endif

START_TEST(registers_are_roots)
{
    begin();
    do_deep(make_one);
    look_with_a_register();
    expect(TAG, 0, 0, 1);
}
END_TEST

static void make_mapped(void)
{
    void **page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    page[17] = make(SIZE);
    hidden[0] = ~(uintptr_t)page;
}

START_TEST(private_mappings_are_roots_while_they_can_be_read)
{
    do_deep(make_mapped);
    look();
    expect(TAG, 0, 0, 1);
    ck_assert_int_eq(mprotect((void *)~hidden[0], 4096, PROT_READ), 0);
    look();
    expect(TAG, 0, 0, 1);
    ck_assert_int_eq(mprotect((void *)~hidden[0], 4096, PROT_NONE), 0);
    look();
    expect(TAG, 1, 0, 0);
}
END_TEST

/* --- what is free --------------------------------------------------------------------------------------------- */

/* Blocks that were freed lead nowhere, though what they held is there yet. */
static void free_what_leads_to_one(size_t many)
{
    void **blocks[MANY];
    for (size_t i = 0; i < many; i++)
        blocks[i] = tagpool_alloc(TAGPOOL_PAGED, SIZE, BAIT);
    make_one();
    for (size_t i = 0; i < many; i++)
        blocks[i][9] = (void *)~hidden[0];
    for (size_t i = 1; i < many; i++)
        tagpool_free(blocks[i]);
    memset(blocks[0], 0, SIZE);
    hidden[1] = ~(uintptr_t)blocks[0];
}

static void free_few(void)
{
    free_what_leads_to_one(5);
}

static void free_many(void)
{
    free_what_leads_to_one(MANY);
}

START_TEST(freed_blocks_lead_nowhere)
{
    begin();
    do_deep(free_few);
    look();
    expect(TAG, 1, 0, 0);
    expect(BAIT, 1, 0, 1);
    do_deep(free_many);
    look();
    expect(TAG, 2, 0, 0);
    expect(BAIT, 2, 0, 1);
}
END_TEST

static pthread_barrier_t barrier;

static void *free_all(void *argument)
{
    for (int i = 0; i < MANY; i++)
        tagpool_free((void *)~hidden[i]);
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier);
    return argument;
}

static void make_many(void)
{
    for (int i = 0; i < MANY; i++)
        hidden[i] = ~(uintptr_t)make(SIZE);
}

/* Parcels at the thread that freed, in its bag, and in the owner's mail. */
START_TEST(blocks_in_the_mail_are_free)
{
    pthread_t thread;
    begin();
    do_deep(make_many);
    pthread_barrier_init(&barrier, NULL, 2);
    pthread_create(&thread, NULL, free_all, NULL);
    pthread_barrier_wait(&barrier);
    look();
    expect(TAG, 0, 0, 0);
    pthread_barrier_wait(&barrier);
    pthread_join(thread, NULL);
    look();
    expect(TAG, 0, 0, 0);
}
END_TEST

/* --- kinds of blocks ------------------------------------------------------------------------------------------ */

static void make_kinds(void)
{
    hidden[0] = ~(uintptr_t)make(1 << 20);
    hidden[1] = ~(uintptr_t)make(40000);
    hidden[2] = ~(uintptr_t)tagpool_alloc(TAGPOOL_NONPAGED, 3000, TAG);
    hidden[3] = ~(uintptr_t)tagpool_alloc_aligned(TAGPOOL_PAGED, 4096, 5000, TAG);
    hidden[4] = ~(uintptr_t)make(0);
}

START_TEST(blocks_of_all_kinds_are_seen)
{
    begin();
    do_deep(make_kinds);
    look();
    expect(TAG, 5, 0, 0);
    for (int i = 0; i < 5; i++) {
        kept = (void *)~hidden[i];
        look();
        expect(TAG, 4, 0, 1);
    }
    kept = (char *)~hidden[0] + 900000;
    look();
    expect(TAG, 4, 1, 0);
}
END_TEST

/* Of a large block pages that were never touched are passed over, and those behind them are not. */
static void make_sparse(void)
{
    void **large = tagpool_alloc(TAGPOOL_PAGED, 64 << 20, BAIT);
    large[(33 << 20) / sizeof(*large)] = make(SIZE);
    kept = large;
}

START_TEST(large_blocks_lead_on)
{
    do_deep(make_sparse);
    look();
    expect(TAG, 0, 0, 1);
    expect(BAIT, 0, 0, 1);
}
END_TEST

static tagpool_lookaside_t list;

static void use_list(void)
{
    static const tagpool_lookaside_options_t options = {.kind = TAGPOOL_PAGED, .tag = TAG, .size = SIZE};
    ck_assert_int_eq(tagpool_lookaside_init(&list, &options), 0);
    for (int i = 0; i < 100; i++)
        hidden[i] = ~(uintptr_t)memset(tagpool_lookaside_alloc(&list), 0, SIZE);
    for (int i = 0; i < 100; i++)
        tagpool_lookaside_free(&list, (void *)~hidden[i]);
}

static void empty_list(void)
{
    tagpool_lookaside_stats_t stats;
    tagpool_lookaside_stats(&list, &stats);
    for (uint64_t i = 1; i < stats.cached; i++)
        hidden[i] = ~(uintptr_t)tagpool_lookaside_alloc(&list);
}

/* Where the list had them, pointers to what it gave out are left. */
START_TEST(blocks_that_a_list_keeps_are_reachable_and_those_it_gave_out_are_not)
{
    tagpool_lookaside_stats_t stats;
    begin();
    do_deep(use_list);
    tagpool_lookaside_stats(&list, &stats);
    ck_assert_uint_gt(stats.cached, 4);
    look();
    expect(TAG, 0, 0, stats.cached);
    do_deep(empty_list);
    look();
    expect(TAG, stats.cached - 1, 0, 1);
}
END_TEST

static void make_buffers(void)
{
    const tagpool_common_buffer_options_t common = {.tag = TAG, .size = 100};
    const tagpool_iobuf_options_t io = {.tag = TAG, .buffer_size = 4096, .count = 4};
    ck_assert_ptr_nonnull(tagpool_common_buffer_alloc(&common));
    ck_assert_ptr_nonnull(tagpool_iobuf_create(&io));
}

START_TEST(what_the_engine_holds_for_handles_is_reachable)
{
    begin();
    do_deep(make_buffers);
    look();
    expect(TAG, 0, 0, 5);
}
END_TEST

static void make_scope(void)
{
    tagpool_scope_t *scope = tagpool_scope_create(NULL);
    for (int i = 0; i < 100; i++)
        hidden[0] = ~(uintptr_t)tagpool_scope_alloc(scope, TAGPOOL_PAGED, SIZE, TAG);
    kept = scope;
}

START_TEST(a_scope_is_kept_by_its_handle)
{
    do_deep(make_scope);
    look();
    ck_assert_uint_eq(found.blocks[TAGPOOL_REPORT_LOST], 0);
    ck_assert_uint_eq(found.blocks[TAGPOOL_REPORT_POSSIBLY_LOST], 0);
    ck_assert_uint_gt(blocks_of(TAG, TAGPOOL_REPORT_REACHABLE), 1);
    kept = NULL;
    look();
    ck_assert_uint_eq(found.blocks[TAGPOOL_REPORT_REACHABLE], 0);
    kept = (void *)~hidden[0]; /* a piece of its newest chunk, which leads to the older ones */
    look();
    ck_assert_uint_eq(blocks_of(TAG, TAGPOOL_REPORT_LOST), 0);
    ck_assert_uint_gt(blocks_of(TAG, TAGPOOL_REPORT_POSSIBLY_LOST), 1);
}
END_TEST

/* --- checked blocks ------------------------------------------------------------------------------------------- */

static void make_checked(void)
{
    struct node *node = make(SIZE);
    node->next = make(SIZE);
    hidden[0] = ~(uintptr_t)node;
    for (int i = 0; i < 10; i++)
        tagpool_free(make(SIZE));
}

/* What a block holds is the program's, but for what it writes there itself. */
static void make_unwritten(void)
{
    kept = tagpool_alloc(TAGPOOL_PAGED, SIZE, BAIT);
    hidden[0] = ~(uintptr_t)tagpool_alloc(TAGPOOL_PAGED, SIZE, TAG);
}

static void check_unwritten(void *words)
{
    setenv("TAGPOOL_VERIFY", words, 1);
    do_deep(make_unwritten);
    look_for(tp_tag_rules);
    expect(TAG, 1, 0, 0);
}

static void check_checked(void *words)
{
    setenv("TAGPOOL_VERIFY", words, 1);
    begin();
    do_deep(make_checked);
    look_for(tp_tag_rules);
    expect(TAG, 2, 0, 0);
    ck_assert_uint_eq(found.bytes[TAGPOOL_REPORT_LOST], 2 * SIZE);
    kept = (void *)~hidden[0];
    look_for(tp_tag_rules);
    expect(TAG, 0, 0, 2);
    kept = (char *)kept + SIZE;
    look_for(tp_tag_rules);
    expect(TAG, 0, 2, 0);
}

START_TEST(checked_blocks_are_seen)
{
    static const char *const words[] = {
        "leaks",
        "leaks special=all",
        "leaks special=all guard=userfault",
        "leaks special=all guard=protect",
        "leaks special=all ends=under",
        "leaks special=all exact",
    };
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        struct child_result result = child_run(check_checked, (void *)(uintptr_t)words[i]);
        ck_assert_msg(child_succeeded(&result), "%s: %s", words[i], result.text);
        result = child_run(check_unwritten, (void *)(uintptr_t)words[i]);
        ck_assert_msg(child_succeeded(&result), "%s: %s", words[i], result.text);
    }
}
END_TEST

/* Only what the verifier was told to look at. */
START_TEST(tags_that_no_rule_names_are_left_out)
{
    setenv("TAGPOOL_VERIFY", "leaks tags=Bait", 1);
    begin();
    do_deep(make_one);
    look_for(tp_tag_rules);
    expect(TAG, 0, 0, 0);
    expect(BAIT, 0, 0, 1);
}
END_TEST

/* --- groups --------------------------------------------------------------------------------------------------- */

static void make_tags(void)
{
    for (int i = 0; i < 1200; i++) {
        char name[5] = {'T', (char)('0' + i / 400), (char)(' ' + i % 400 / 20), (char)(' ' + i % 20), 0};
        tagpool_tag_t tag = TAGPOOL_TAG(name[0], name[1], name[2], name[3]);
        hidden[i] = ~(uintptr_t)tagpool_zalloc(TAGPOOL_PAGED, (size_t)(1200 - i) * 16, tag);
    }
}

START_TEST(the_largest_thousand_groups_are_told)
{
    begin();
    do_deep(make_tags);
    look();
    ck_assert_uint_eq(found.blocks[TAGPOOL_REPORT_LOST], 1200);
    ck_assert_uint_eq(found.groups_left_out, 1200 - TP_LEAK_LOST_GROUPS);
    ck_assert_uint_ge(found.group_count, TP_LEAK_LOST_GROUPS);
    for (uint32_t i = 1; i < found.group_count; i++)
        ck_assert(found.groups[i - 1].leak_class < found.groups[i].leak_class ||
                  found.groups[i - 1].bytes >= found.groups[i].bytes);
    ck_assert_uint_eq(found.groups[found.group_count - 1].leak_class, TAGPOOL_REPORT_REACHABLE);
}
END_TEST

static uint32_t groups_of(enum tagpool_report_leak_class class)
{
    uint32_t groups = 0;
    for (uint32_t i = 0; i < found.group_count; i++)
        groups += tp_tags[found.groups[i].slot].tag == TAG && found.groups[i].leak_class == class;
    return groups;
}

/* Of more than a thousand blocks of a site, some have no stack of their own. */
static void make_from_one_place(void)
{
    for (int i = 0; i < MANY; i++)
        hidden[i] = ~(uintptr_t)make(SIZE);
}

static void make_half(void)
{
    for (int i = 0; i < MANY / 2; i++)
        hidden[i] = ~(uintptr_t)make(SIZE);
}

static void make_other_half(void)
{
    for (int i = MANY / 2; i < MANY; i++)
        hidden[i] = ~(uintptr_t)make(SIZE);
}

START_TEST(blocks_of_one_stack_are_one_group_though_of_some_the_site_alone_is_known)
{
    setenv("TAGPOOL_VERIFY", "leaks track", 1);
    begin();
    do_deep(make_from_one_place);
    look();
    expect(TAG, MANY, 0, 0);
    ck_assert_uint_eq(groups_of(TAGPOOL_REPORT_LOST), 1);
    ck_assert_uint_eq(found.groups[0].bytes, MANY * SIZE);
}
END_TEST

START_TEST(of_two_stacks_it_is_not_known_which)
{
    setenv("TAGPOOL_VERIFY", "leaks track", 1);
    begin();
    do_deep(make_half);
    do_deep(make_other_half);
    look();
    expect(TAG, MANY, 0, 0);
    ck_assert_uint_eq(groups_of(TAGPOOL_REPORT_LOST), 3);
}
END_TEST

/* A block that may be found is another finding. */
START_TEST(a_stack_of_another_class_is_another_group)
{
    setenv("TAGPOOL_VERIFY", "leaks track", 1);
    begin();
    do_deep(make_from_one_place);
    kept = (char *)~hidden[MANY - 1] + 8;
    look();
    expect(TAG, MANY - 1, 1, 0);
    ck_assert_uint_eq(groups_of(TAGPOOL_REPORT_LOST), 1);
    ck_assert_uint_eq(groups_of(TAGPOOL_REPORT_POSSIBLY_LOST), 1);
}
END_TEST

LEAK_MAIN("leak", what_nothing_leads_to_is_lost, what_a_variable_leads_to_is_reachable,
          chains_are_followed_whatever_their_length, circles_are_lost, a_block_may_lead_to_any_number_of_others,
          what_is_entered_in_the_middle_is_possibly_lost, one_pointer_to_the_beginning_is_enough,
          thread_local_variables_are_roots, the_stack_is_a_root_down_to_the_caller, registers_are_roots,
          private_mappings_are_roots_while_they_can_be_read, freed_blocks_lead_nowhere, blocks_in_the_mail_are_free,
          blocks_of_all_kinds_are_seen, large_blocks_lead_on,
          blocks_that_a_list_keeps_are_reachable_and_those_it_gave_out_are_not,
          what_the_engine_holds_for_handles_is_reachable, a_scope_is_kept_by_its_handle, checked_blocks_are_seen,
          tags_that_no_rule_names_are_left_out, the_largest_thousand_groups_are_told,
          blocks_of_one_stack_are_one_group_though_of_some_the_site_alone_is_known, of_two_stacks_it_is_not_known_which,
          a_stack_of_another_class_is_another_group)
