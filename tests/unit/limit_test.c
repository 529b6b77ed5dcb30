/*
 * J1 to J3 and the rules of the public header: to the byte, from near and from far.
 */
#include "child.h"
#include "dice.h"
#include "fault.h"
#include "unit.h"

#include "fast.h"
#include "limit.h"

#include <tagpool.h>

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define TAG TAGPOOL_TAG('L', 'i', 'm', 't')
#define OTHER TAGPOOL_TAG('O', 't', 'h', 'r')
enum { PLACES = 4000 };

static void *places[PLACES];
static unsigned crossings;

static void count_crossing(uint64_t bytes, void *context)
{
    ck_assert_uint_gt(bytes, *(const uint64_t *)context);
    crossings++;
}

static void limit(tagpool_limit_t values)
{
    ck_assert_int_eq(tagpool_limit_tag(TAGPOOL_PAGED, TAG, &values), 0);
}

static tagpool_limit_state_t state(void)
{
    tagpool_limit_state_t now;
    ck_assert_int_eq(tagpool_limit_tag_state(TAGPOOL_PAGED, TAG, &now), 0);
    return now;
}

static struct tp_meter *meter(void)
{
    return &tp_tags[tp_tag_find(TAG, TP_LAYOUT_PAGED)].meter;
}

static void *must_alloc(size_t size)
{
    void *block = tagpool_alloc(TAGPOOL_PAGED, size, TAG);
    ck_assert_ptr_nonnull(block);
    return block;
}

static void must_refuse(size_t size)
{
    errno = 0;
    ck_assert_ptr_null(tagpool_alloc(TAGPOOL_PAGED, size, TAG));
    ck_assert_int_eq(errno, ENOMEM);
}

/* Blocks of one size until one is refused; their number. */
static size_t fill(size_t size)
{
    size_t count = 0;
    while (count < PLACES && (places[count] = tagpool_alloc(TAGPOOL_PAGED, size, TAG)) != NULL)
        count++;
    return count;
}

static void free_places(size_t first, size_t count)
{
    for (size_t i = first; i < first + count; i++)
        tagpool_free(places[i]);
}

START_TEST(what_makes_no_sense_is_einval)
{
    const tagpool_limit_t wrong[] = {{.soft = 5, .hard = 4}, {.low = 4, .hard = 3}, {.normal = 4, .hard = 3},
                                     {.low = 4, .normal = 3, .hard = 9}};
    tagpool_limit_state_t now;
    for (size_t i = 0; i < 4; i++) {
        ck_assert_int_eq(tagpool_limit_pool(TAGPOOL_PAGED, &wrong[i]), -1);
        ck_assert_int_eq(errno, EINVAL);
    }
    const tagpool_limit_t watermark = {.low = 4};
    ck_assert_int_eq(tagpool_limit_tag(TAGPOOL_PAGED, TAG, &watermark), -1);
    ck_assert_int_eq(tagpool_limit_tag((tagpool_kind_t)2, TAG, NULL), -1);
    ck_assert_int_eq(tagpool_limit_tag(TAGPOOL_PAGED, 7, NULL), -1);
    ck_assert_int_eq(tagpool_limit_pool((tagpool_kind_t)2, NULL), -1);
    errno = 0;
    ck_assert_int_eq(tagpool_limit_tag_state(TAGPOOL_PAGED, TAG, &now), -1);
    ck_assert_int_eq(errno, ENOENT);
    ck_assert_ptr_null(tagpool_alloc_flags(TAGPOOL_PAGED, 1, TAG, TAGPOOL_LOW | TAGPOOL_HIGH));
    ck_assert_int_eq(errno, EINVAL);
    ck_assert_ptr_null(tagpool_alloc_flags(TAGPOOL_PAGED, 1, TAG, 1u << 20));
}
END_TEST

START_TEST(a_limit_refuses_the_byte_too_many_and_nothing_before)
{
    limit((tagpool_limit_t){.hard = 64 * 1000});
    ck_assert_uint_eq(fill(64), 1000);
    must_refuse(1);
    ck_assert_uint_eq(state().held, 64000);
    ck_assert_uint_eq(state().refused, 2);
    void *other = tagpool_alloc(TAGPOOL_PAGED, 100000, OTHER);
    ck_assert_ptr_nonnull(other);
    tagpool_free(places[17]);
    must_refuse(65);
    places[17] = must_alloc(64);
    must_refuse(16);
    free_places(0, 1000);
    tagpool_free(other);
    ck_assert_uint_eq(state().held, 0);
}
END_TEST

/* Blocks that the fast path frees are seen before anything is refused, and a limit below what is held takes nothing. */
START_TEST(a_limit_takes_effect_at_the_next_allocation)
{
    ck_assert_uint_eq(fill(200), PLACES);
    size_t each = tagpool_size(places[0]);
    limit((tagpool_limit_t){.hard = each * (PLACES - 100)});
    must_refuse(16);
    free_places(0, 100);
    must_refuse(16);
    tagpool_free(places[100]);
    places[100] = must_alloc(200);
    must_refuse(16);
    free_places(100, PLACES - 100);
    ck_assert_int_eq(tagpool_limit_tag(TAGPOOL_PAGED, TAG, NULL), 0);
    tagpool_free(must_alloc(1 << 20));
}
END_TEST

/* Old entries of a thread's table are not taken for new ones when thousands of switches lie between two calls. */
START_TEST(epochs_do_not_come_round_soon)
{
    for (int round = 0; round < 3; round++) {
        ck_assert_uint_eq(fill(64), PLACES);
        free_places(0, round < 2 ? PLACES : 100);
    }
    uint64_t before = tp_segment_control->epoch;
    limit((tagpool_limit_t){.hard = 64 * (PLACES - 100)});
    while (tp_segment_control->epoch < before + 4096)
        tp_segment_next_epoch();
    must_refuse(64);
    while (tp_segment_control->epoch < before + 65536)
        tp_segment_next_epoch();
    must_refuse(64);
    free_places(100, PLACES - 100);
}
END_TEST

/* All sizes, in one thread, against a model. */
START_TEST(any_mix_of_sizes_is_admitted_to_the_byte)
{
    struct dice dice = dice_from_environment();
    const uint64_t hard = 3000000;
    uint64_t held = 0, refused = 0;
    limit((tagpool_limit_t){.hard = hard});
    for (int i = 0; i < 300000; i++) {
        void **place = &places[dice_below(&dice, PLACES)];
        size_t size = dice_below(&dice, 20) == 0 ? dice_below(&dice, 300000) : dice_below(&dice, 4000);
        if (*place != NULL) {
            held -= tagpool_size(*place);
            tagpool_free(*place);
            *place = NULL;
            continue;
        }
        *place = tagpool_alloc(TAGPOOL_PAGED, size, TAG);
        if (*place != NULL) {
            held += tagpool_size(*place);
            ck_assert_uint_le(held, hard);
            continue;
        }
        refused++;
        void *twin = tagpool_alloc(TAGPOOL_PAGED, size, OTHER);
        ck_assert_uint_gt(held + tagpool_size(twin), hard);
        tagpool_free(twin);
    }
    ck_assert_uint_gt(refused, 1000);
    ck_assert_uint_eq(state().held, held);
    free_places(0, PLACES);
}
END_TEST

START_TEST(large_blocks_grow_in_place_within_the_limit)
{
    limit((tagpool_limit_t){.hard = 4 << 20});
    char *block = must_alloc(1 << 20);
    block = tagpool_realloc(block, 4 << 20);
    ck_assert_ptr_nonnull(block);
    errno = 0;
    ck_assert_ptr_null(tagpool_realloc(block, (4 << 20) + 1));
    ck_assert_int_eq(errno, ENOMEM);
    must_refuse(16);
    ck_assert_uint_eq(tagpool_size(block), 4 << 20);
    tagpool_free(block);
    tagpool_free(must_alloc(4 << 20));
}
END_TEST

START_TEST(the_soft_limit_is_told_once_a_crossing)
{
    uint64_t soft = 64 * 500;
    limit((tagpool_limit_t){.soft = soft, .hard = 64 * 1000, .crossed = count_crossing, .context = &soft});
    for (unsigned round = 1; round <= 5; round++) {
        size_t count = 0;
        for (; count < 500; count++)
            places[count] = must_alloc(64);
        ck_assert_uint_eq(crossings, round - 1);
        for (; count < 700; count++)
            places[count] = must_alloc(64);
        ck_assert_uint_eq(crossings, round);
        free_places(0, 700);
    }
}
END_TEST

static void alloc_in_callback(uint64_t bytes, void *context)
{
    (void)bytes;
    *(void **)context = tagpool_alloc(TAGPOOL_PAGED, 64, TAG);
}

START_TEST(a_callback_may_allocate)
{
    void *got = NULL;
    limit((tagpool_limit_t){.soft = 100, .crossed = alloc_in_callback, .context = &got});
    void *block = must_alloc(200);
    ck_assert_ptr_nonnull(got);
    tagpool_free(got);
    tagpool_free(block);
}
END_TEST

static bool fits(unsigned flags)
{
    void *block = tagpool_alloc_flags(TAGPOOL_PAGED, 64 << 10, OTHER, flags);
    tagpool_free(block);
    return block != NULL;
}

START_TEST(priorities_fail_at_their_watermarks)
{
    const tagpool_limit_t values = {.low = 1 << 20, .normal = 2 << 20, .hard = 3 << 20};
    tagpool_limit_state_t now;
    ck_assert_int_eq(tagpool_limit_pool(TAGPOOL_PAGED, &values), 0);
    ck_assert(fits(TAGPOOL_LOW) && fits(TAGPOOL_NORMAL) && fits(TAGPOOL_HIGH));
    void *first = must_alloc((1 << 20) - 4096);
    ck_assert(!fits(TAGPOOL_LOW) && fits(TAGPOOL_NORMAL) && fits(TAGPOOL_HIGH));
    void *second = must_alloc((1 << 20) - 4096);
    ck_assert(!fits(TAGPOOL_LOW) && !fits(TAGPOOL_NORMAL) && fits(TAGPOOL_HIGH));
    void *third = tagpool_alloc_flags(TAGPOOL_PAGED, 1 << 20, TAG, TAGPOOL_HIGH);
    ck_assert_ptr_nonnull(third);
    ck_assert(!fits(TAGPOOL_LOW) && !fits(TAGPOOL_NORMAL) && !fits(TAGPOOL_HIGH));
    ck_assert_int_eq(tagpool_limit_pool_state(TAGPOOL_PAGED, &now), 0);
    ck_assert_uint_eq(now.held, (3 << 20) - 8192);
    ck_assert_uint_eq(now.refused, 6);
    void *rest = tagpool_alloc_flags(TAGPOOL_PAGED, 8192, TAG, TAGPOOL_HIGH);
    ck_assert_ptr_nonnull(rest);
    ck_assert_ptr_null(tagpool_alloc_flags(TAGPOOL_PAGED, 1, TAG, TAGPOOL_HIGH));
    void *const blocks[] = {first, second, third, rest};
    for (int i = 0; i < 4; i++)
        tagpool_free(blocks[i]);
    ck_assert(fits(TAGPOOL_LOW));
}
END_TEST

/* A limit of the pool counts all of its tags, and none of the other pool's. */
START_TEST(a_pool_is_limited_as_a_whole)
{
    const tagpool_limit_t values = {.hard = 512 << 10};
    size_t count = 0, bytes = 0;
    ck_assert_int_eq(tagpool_limit_pool(TAGPOOL_NONPAGED, &values), 0);
    for (; count < PLACES; count++) {
        tagpool_tag_t tag = TAGPOOL_TAG('P', 'o', 'l', '0' + count % 10);
        places[count] = tagpool_alloc(TAGPOOL_NONPAGED, 1000, tag);
        if (places[count] == NULL)
            break;
        bytes += tagpool_size(places[count]);
    }
    ck_assert_uint_gt(bytes + tagpool_size(places[0]), 512 << 10);
    ck_assert_uint_le(bytes, 512 << 10);
    tagpool_free(must_alloc(1 << 20));
    free_places(0, count);
}
END_TEST

START_TEST(far_from_its_limit_a_tag_is_fast_again)
{
    limit((tagpool_limit_t){.hard = 64 * 2000});
    ck_assert(!meter()->near);
    ck_assert_uint_eq(fill(64), 2000);
    ck_assert(meter()->near);
    free_places(0, 2000);
    usleep(1200000);
    tagpool_free(must_alloc(64));
    tagpool_free(must_alloc(64));
    ck_assert(!meter()->near);
    ck_assert_uint_eq(fill(64), 2000);
    free_places(0, 2000);
}
END_TEST

/* --- threads -------------------------------------------------------------------------------------------------- */

enum { THREADS = 8, HARD = 400000 };
static uint64_t model; /* never more than what is held: added to after an allocation, taken from before a free */
static uint64_t model_peak;

static void model_add(size_t bytes)
{
    uint64_t now = __atomic_add_fetch(&model, bytes, __ATOMIC_SEQ_CST);
    uint64_t peak = __atomic_load_n(&model_peak, __ATOMIC_RELAXED);
    while (now > peak &&
           !__atomic_compare_exchange_n(&model_peak, &peak, now, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        ;
}

static void model_free(void *block)
{
    if (block == NULL)
        return;
    __atomic_sub_fetch(&model, tagpool_size(block), __ATOMIC_SEQ_CST);
    tagpool_free(block);
}

/* Blocks of all threads in one table: most are freed by another thread than their own. */
static void *work(void *argument)
{
    struct dice dice = {.state = (uintptr_t)argument * 77 + 1};
    for (int i = 0; i < 60000; i++) {
        void **place = &places[dice_below(&dice, PLACES)];
        void *block = tagpool_alloc(TAGPOOL_PAGED, dice_below(&dice, 600), TAG);
        if (block != NULL)
            model_add(tagpool_size(block));
        model_free(__atomic_exchange_n(place, block, __ATOMIC_ACQ_REL));
    }
    return NULL;
}

static void run_threads(void)
{
    pthread_t threads[THREADS];
    for (uintptr_t i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, work, (void *)(i + 1)), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
}

START_TEST(threads_never_pass_a_limit)
{
    limit((tagpool_limit_t){.hard = HARD});
    run_threads();
    ck_assert_uint_le(model_peak, HARD);
    ck_assert_uint_gt(model_peak, HARD - 2000);
    ck_assert_uint_gt(state().refused, 1000);
    ck_assert_uint_eq(state().held, model);
    free_places(0, PLACES);
    ck_assert_uint_eq(state().held, 0);
    places[0] = must_alloc(HARD / 2);
    must_refuse(HARD / 2);
}
END_TEST

static void *switch_on_and_off(void *unused)
{
    (void)unused;
    for (int i = 0; i < 200; i++) {
        const tagpool_limit_t values = {.hard = i % 2 == 0 ? HARD / 2 : 0};
        tagpool_limit_tag(TAGPOOL_PAGED, TAG, &values);
        usleep(1000);
    }
    return NULL;
}

START_TEST(limits_come_and_go_while_threads_work)
{
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, switch_on_and_off, NULL), 0);
    run_threads();
    pthread_join(thread, NULL);
    ck_assert_uint_eq(state().held, model);
    free_places(0, PLACES);
    ck_assert_uint_eq(state().held, 0);
}
END_TEST

static bool toggling;

static void *toggle_soft(void *unused)
{
    (void)unused;
    for (int i = 0; __atomic_load_n(&toggling, __ATOMIC_RELAXED); i++) {
        const tagpool_limit_t values = {.soft = i % 2 == 0 ? HARD / 4 : 0};
        tagpool_limit_tag(TAGPOOL_PAGED, TAG, &values);
    }
    return NULL;
}

static void *work_unrefused(void *argument)
{
    struct dice dice = {.state = (uintptr_t)argument * 77 + 1};
    for (int i = 0; i < 60000; i++) {
        void *block = must_alloc(dice_below(&dice, 600));
        tagpool_free(__atomic_exchange_n(&places[dice_below(&dice, PLACES)], block, __ATOMIC_ACQ_REL));
    }
    return NULL;
}

/* Whatever comes and goes meanwhile. */
START_TEST(a_soft_limit_refuses_nothing)
{
    pthread_t threads[3], toggler;
    toggling = true;
    ck_assert_int_eq(pthread_create(&toggler, NULL, toggle_soft, NULL), 0);
    for (uintptr_t i = 0; i < 3; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, work_unrefused, (void *)(i + 1)), 0);
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    __atomic_store_n(&toggling, false, __ATOMIC_RELAXED);
    pthread_join(toggler, NULL);
    free_places(0, PLACES);
    ck_assert_uint_eq(tp_limit_near_count, meter()->near);
}
END_TEST

/* --- from outside, and with others ---------------------------------------------------------------------------- */

static struct tagpool_segment_control *control(void)
{
    return (struct tagpool_segment_control *)(uintptr_t)tp_segment_control;
}

static void write_line(uint32_t slot, uint64_t hard)
{
    control()->limits[0] = (struct tagpool_segment_limit){.slot = slot, .kind = 1, .hard_bytes = hard};
    control()->limits_count = 1;
    control()->limits_version++;
    __atomic_fetch_add(&control()->epoch, 1, __ATOMIC_RELEASE);
}

START_TEST(a_tool_sets_limits_from_outside)
{
    ck_assert_uint_eq(fill(64), PLACES);
    uint32_t slot = tp_tag_find(TAG, TP_LAYOUT_PAGED);
    write_line(slot, 64 * PLACES);
    must_refuse(1);
    ck_assert_uint_eq(tp_segment_slots[slot].hard_bytes, 64 * PLACES);
    ck_assert_uint_eq(tp_segment_slots[slot].refused_total, 1);
    write_line(slot, 0);
    tagpool_free(must_alloc(1));
    write_line(TAGPOOL_SEGMENT_NO_SLOT, 64 * PLACES);
    must_refuse(1);
    write_line(TP_SLOT_COUNT + 5, 1);
    write_line(slot + 100, 1);
    control()->limits_count = UINT32_MAX;
    write_line(TAGPOOL_SEGMENT_NO_SLOT, 0);
    tagpool_free(must_alloc(1));
    free_places(0, PLACES);
}
END_TEST

START_TEST(lookaside_lists_give_back_before_anything_is_refused)
{
    const tagpool_lookaside_options_t options = {.kind = TAGPOOL_PAGED, .tag = TAG, .size = 1000};
    tagpool_lookaside_t list;
    ck_assert_int_eq(tagpool_lookaside_init(&list, &options), 0);
    limit((tagpool_limit_t){.hard = 1024 * 100});
    for (int round = 0; round < 30; round++) {
        for (int i = 0; i < 90; i++)
            ck_assert_ptr_nonnull(places[i] = tagpool_lookaside_alloc(&list));
        for (int i = 0; i < 90; i++)
            tagpool_lookaside_free(&list, places[i]);
    }
    tagpool_lookaside_stats_t stats;
    tagpool_lookaside_stats(&list, &stats);
    ck_assert_uint_gt(stats.cached, 20);
    void *block = must_alloc(96 << 10);
    tagpool_lookaside_stats(&list, &stats);
    ck_assert_uint_eq(stats.cached, 0);
    tagpool_free(block);
    ck_assert_uint_eq(tagpool_lookaside_destroy(&list), 0);
}
END_TEST

/* A list of another tag keeps what it has: its routines are not called for this one's sake. */
START_TEST(lists_of_other_tags_are_left_alone)
{
    const tagpool_lookaside_options_t options = {.kind = TAGPOOL_PAGED, .tag = OTHER, .size = 1000};
    tagpool_lookaside_t list;
    tagpool_lookaside_stats_t stats;
    ck_assert_int_eq(tagpool_lookaside_init(&list, &options), 0);
    tagpool_lookaside_free(&list, tagpool_lookaside_alloc(&list));
    limit((tagpool_limit_t){.hard = 6400});
    ck_assert_uint_eq(fill(64), 100);
    tagpool_lookaside_stats(&list, &stats);
    ck_assert_uint_eq(stats.cached, 1);
    free_places(0, 100);
    tagpool_lookaside_destroy(&list);
}
END_TEST

static void set_errno(uint64_t bytes, void *context)
{
    (void)bytes;
    (void)context;
    errno = 5;
}

START_TEST(a_callback_does_not_change_errno)
{
    limit((tagpool_limit_t){.soft = 100, .crossed = set_errno});
    errno = 0;
    void *block = must_alloc(200);
    ck_assert_int_eq(errno, 0);
    tagpool_free(block);
}
END_TEST

static void child_is_told(void *unused)
{
    (void)unused;
    uint32_t slot = tp_tag_find(TAG, TP_LAYOUT_PAGED);
    unsigned before = crossings;
    free_places(0, 700);
    ck_assert_uint_eq(fill(64), 1000);
    ck_assert_uint_eq(crossings, before + 1);
    ck_assert_uint_eq(tp_segment_slots[slot].hard_bytes, 64000);
}

START_TEST(a_child_is_told_of_its_own_crossings)
{
    uint64_t soft = 32000;
    limit((tagpool_limit_t){.soft = soft, .hard = 64000, .crossed = count_crossing, .context = &soft});
    for (int i = 0; i < 700; i++)
        places[i] = must_alloc(64);
    ck_assert_uint_eq(crossings, 1);
    struct child_result result = child_run(child_is_told, NULL);
    ck_assert_msg(child_succeeded(&result), "%s", result.text);
}
END_TEST

static void child_goes_on(void *unused)
{
    (void)unused;
    must_refuse(1);
    ck_assert_uint_eq(tp_limit_near_count, 1);
    tagpool_free(places[0]);
    places[0] = must_alloc(64);
    must_refuse(1);
    ck_assert_uint_eq(state().held, 64000);
}

START_TEST(a_child_keeps_the_limit)
{
    limit((tagpool_limit_t){.hard = 64000});
    ck_assert_uint_eq(fill(64), 1000);
    struct child_result result = child_run(child_goes_on, NULL);
    ck_assert(child_succeeded(&result));
    must_refuse(1);
    free_places(0, 1000);
}
END_TEST

/* Whatever allocation fails, the limit holds and nothing is lost. */
static void with_failures(void)
{
    const tagpool_limit_t values = {.hard = 300000};
    if (tagpool_limit_tag(TAGPOOL_PAGED, TAG, &values) != 0)
        fault_must(errno == ENOMEM);
    size_t count = 0;
    for (int i = 0; i < 300; i++)
        count += (places[count] = tagpool_alloc(TAGPOOL_PAGED, 700, TAG)) != NULL;
    fault_must(count >= 290);
    free_places(0, count);
    fault_must_be_empty(TAGPOOL_PAGED, TAG);
    void *block = tagpool_alloc(TAGPOOL_PAGED, 290000, TAG);
    fault_must(block != NULL);
    tagpool_free(block);
}

START_TEST(each_allocation_may_fail)
{
    ck_assert_uint_gt(fault_each(with_failures), 5);
}
END_TEST

UNIT_MAIN("limit", what_makes_no_sense_is_einval, a_limit_refuses_the_byte_too_many_and_nothing_before,
          a_limit_takes_effect_at_the_next_allocation, epochs_do_not_come_round_soon,
          any_mix_of_sizes_is_admitted_to_the_byte, large_blocks_grow_in_place_within_the_limit,
          the_soft_limit_is_told_once_a_crossing, a_callback_may_allocate, priorities_fail_at_their_watermarks,
          a_pool_is_limited_as_a_whole, far_from_its_limit_a_tag_is_fast_again, threads_never_pass_a_limit,
          limits_come_and_go_while_threads_work, a_soft_limit_refuses_nothing, lists_of_other_tags_are_left_alone,
          a_callback_does_not_change_errno, a_child_is_told_of_its_own_crossings, a_tool_sets_limits_from_outside,
          lookaside_lists_give_back_before_anything_is_refused, a_child_keeps_the_limit, each_allocation_may_fail)
