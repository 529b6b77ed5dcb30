/*
 * B1 to B3 and what callers see: where blocks lie, when their pages are used again, what is counted, what happens where
 * there is no room, and whom a touched guard is blamed on.
 */
#include "unit.h"

#include "child.h"
#include "dice.h"
#include "fault.h"
#include "touch.h"

#include "block.h"
#include "figures.h"
#include "limit.h"
#include "special.h"
#include "start.h"
#include "verify.h"

#include <tagpool.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define TAG TAGPOOL_TAG('S', 'p', 'e', 'c')
#define PAGE TP_OS_PAGE
enum { FEW = 100, PLACES = 20000, OPERATIONS = 3000 };

static char *places[PLACES];
static uint32_t packed; /* a slot of the malloc family */

/* --- helpers -------------------------------------------------------------------------------------------------- */

/* One test a kind of guards; a kind that the system lacks has nothing to be tested. */
#define EACH_KIND(body)                                                                                                \
    START_TEST(body##_madvise)                                                                                         \
    {                                                                                                                  \
        if (tp_guard_init(TP_GUARD_MADVISE) == 0)                                                                      \
            body(TP_GUARD_MADVISE, "guard=madvise");                                                                   \
    }                                                                                                                  \
    END_TEST                                                                                                           \
    START_TEST(body##_userfault)                                                                                       \
    {                                                                                                                  \
        if (tp_guard_init(TP_GUARD_USERFAULT) == 0)                                                                    \
            body(TP_GUARD_USERFAULT, "guard=userfault");                                                               \
    }                                                                                                                  \
    END_TEST                                                                                                           \
    START_TEST(body##_protect)                                                                                         \
    {                                                                                                                  \
        body(TP_GUARD_PROTECT, "guard=protect");                                                                       \
    }                                                                                                                  \
    END_TEST

#define KINDS(body) body##_madvise, body##_userfault, body##_protect

static void begin(enum tp_guard_kind kind, uint32_t quarantine)
{
    touch_catch();
    tp_thread_self();
    packed = tp_tag_open_named("special", TAGPOOL_SEGMENT_MODULE);
    tp_special_configure(kind, quarantine);
}

/* The API's requests go to special pool; to be called first. */
static void begin_verified(const char *words, const char *guard)
{
    char all[128];
    snprintf(all, sizeof(all), "%s %s", words, guard);
    setenv("TAGPOOL_VERIFY", all, 1);
    tp_start();
    touch_catch(); /* in place of the engine's own */
}

static struct tp_checked_request request_of(size_t size)
{
    return (struct tp_checked_request){.slot = packed, .size = size, .alignment = 16};
}

static char *make(const struct tp_checked_request *request)
{
    char *block = tp_special_alloc(tp_thread_self(), request);
    ck_assert_ptr_nonnull(block);
    ck_assert_uint_eq((uintptr_t)block % (request->exact ? 1 : request->alignment), 0);
    return block;
}

static char *make_size(size_t size)
{
    const struct tp_checked_request request = request_of(size);
    return make(&request);
}

static void end(char *block)
{
    static const struct tp_call nobody;
    const struct tp_checked_free how = {.call = &nobody, .size = TP_SIZE_UNTOLD};
    tp_special_free(tp_thread_self(), block, &how);
}

static void must_be_guard(char *at)
{
    ck_assert_int_ne(touch(at, false), 0);
    ck_assert_int_ne(touch(at, true), 0);
}

static bool is_all(char value, const char *at, size_t size)
{
    while (size > 0 && at[size - 1] == value)
        size--;
    return size == 0;
}

/* --- where a block lies --------------------------------------------------------------------------------------- */

static const size_t sizes[] = {1, 15, 16, 100, 4080, 4095, 4096, 4097, 8000, 8192, 100000, 1000001};
enum { SIZES = sizeof(sizes) / sizeof(sizes[0]) };

/* Written all over, and then freed: nothing around it was. */
static void must_be_usable(char *block, size_t size)
{
    ck_assert(is_all(0, block, size));
    memset(block, 0xa5, size);
    ck_assert_uint_eq(tp_block_look_up(block).size, size);
    end(block);
    must_be_guard(block);
    must_be_guard(block + size - 1);
}

static void a_block_ends_where_a_guard_begins(enum tp_guard_kind kind, const char *guard)
{
    begin(kind, 0);
    for (size_t i = 0; i < SIZES; i++) {
        char *block = make_size(sizes[i]), *behind = block + tp_round_up(sizes[i], 16);
        ck_assert_uint_eq((uintptr_t)behind % PAGE, 0);
        must_be_guard(behind);
        must_be_guard((char *)((uintptr_t)block / PAGE * PAGE) - 1);
        must_be_usable(block, sizes[i]);
    }
}
EACH_KIND(a_block_ends_where_a_guard_begins)

static void under_it_begins_where_a_guard_ends(enum tp_guard_kind kind, const char *guard)
{
    begin(kind, 0);
    for (size_t i = 0; i < SIZES; i++) {
        struct tp_checked_request request = request_of(sizes[i]);
        request.under = true;
        char *block = make(&request);
        ck_assert_uint_eq((uintptr_t)block % PAGE, 0);
        must_be_guard(block - 1);
        must_be_guard(block + tp_round_up(sizes[i], PAGE));
        must_be_usable(block, sizes[i]);
    }
}
EACH_KIND(under_it_begins_where_a_guard_ends)

START_TEST(exact_it_ends_there_to_the_byte)
{
    begin(TP_GUARD_NONE, 0);
    for (size_t i = 0; i < SIZES; i++) {
        struct tp_checked_request request = request_of(sizes[i]);
        request.exact = true;
        char *block = make(&request);
        ck_assert_uint_eq((uintptr_t)(block + sizes[i]) % PAGE, 0);
        must_be_guard(block + sizes[i]);
        must_be_usable(block, sizes[i]);
    }
}
END_TEST

START_TEST(alignments_are_kept)
{
    begin(TP_GUARD_NONE, 0);
    for (size_t alignment = 32; alignment <= 4 * TP_MIB; alignment *= 2)
        for (size_t i = 0; i < SIZES; i++) {
            struct tp_checked_request request = request_of(sizes[i]);
            request.alignment = alignment;
            request.exact = i % 2 != 0; /* what was asked for comes first */
            char *block = make(&request);
            ck_assert_uint_eq((uintptr_t)block % alignment, 0);
            must_be_guard((char *)tp_round_up((uintptr_t)block + sizes[i], PAGE));
            must_be_usable(block, sizes[i]);
        }
}
END_TEST

static void no_bytes_are_a_guard_of_ones_own(enum tp_guard_kind kind, const char *guard)
{
    begin(kind, 0);
    char *first = make_size(0), *second = make_size(0);
    ck_assert_ptr_ne(first, second);
    must_be_guard(first);
    must_be_guard(second - 1);
    ck_assert_uint_eq(tp_block_look_up(first).size, 0);
    end(first);
    end(second);
    must_be_guard(first);
}
EACH_KIND(no_bytes_are_a_guard_of_ones_own)

/* What include/tagpool/tagpool.h says of all blocks. */
START_TEST(the_api_keeps_its_word_about_pages)
{
    begin_verified("special=all", "");
    for (int kind = 0; kind < 2; kind++)
        for (size_t size = 1; size < 3 * PAGE; size += 61) {
            char *block = tagpool_alloc((tagpool_kind_t)kind, size, TAG);
            ck_assert(tp_special_owns(block));
            ck_assert_uint_eq((uintptr_t)block % 16, 0);
            if (size >= PAGE)
                ck_assert_uint_eq((uintptr_t)block % PAGE, 0);
            else
                ck_assert_uint_eq((uintptr_t)block / PAGE, (uintptr_t)(block + size - 1) / PAGE);
            ck_assert_uint_eq(tagpool_size(block), size);
            ck_assert_uint_eq(tagpool_tag_of(block), TAG);
            tagpool_free(block);
        }
}
END_TEST

/* --- when pages are used again -------------------------------------------------------------------------------- */

/* All that were freed are kept from use until so many others were. */
START_TEST(a_run_waits_for_its_turn)
{
    enum { LENGTH = 7 };
    begin(TP_GUARD_NONE, LENGTH);
    for (int i = 0; i < FEW; i++) {
        places[i] = make_size(100);
        for (int before = i - LENGTH - 1; before >= 0 && before < i; before++)
            ck_assert_int_eq(places[before] == places[i], before == i - LENGTH - 1);
        ck_assert(is_all(0, places[i], 100));
        memset(places[i], 1, 100);
        end(places[i]);
    }
}
END_TEST

START_TEST(runs_serve_blocks_of_as_many_pages)
{
    begin(TP_GUARD_NONE, 1);
    char *two = make_size(2 * PAGE), *large = make_size(65 * PAGE), *last = make_size(1);
    end(two);
    end(large);
    end(last);
    ck_assert_ptr_ne(make_size(PAGE), two);
    ck_assert_ptr_eq(make_size(PAGE + 1), two + PAGE - 16); /* ends where the other did */
    /* From 64 pages on, powers of two with the guard. */
    char *larger = make_size(127 * PAGE);
    ck_assert_ptr_eq(larger, large);
    must_be_guard(larger + 127 * PAGE);
    end(larger);
    ck_assert_ptr_ne(make_size(128 * PAGE), large);
}
END_TEST

START_TEST(first_and_last_bytes_are_kept)
{
    static const size_t lengths[] = {0, 1, 64, 65, 5000};
    const char *first, *last;
    begin(TP_GUARD_NONE, 0);
    for (int i = 0; i < 5; i++) {
        char *block = make_size(lengths[i]);
        for (size_t at = 0; at < lengths[i]; at++)
            block[at] = (char)(at * 7);
        end(block);
        uint32_t count = tp_special_kept(tp_special_at(block), &first, &last);
        ck_assert_uint_eq(count, tp_min(lengths[i], TP_SPECIAL_KEPT));
        for (size_t at = 0; at < count; at++) {
            ck_assert_int_eq(first[at], (char)(at * 7));
            ck_assert_int_eq(last[at], (char)((lengths[i] - count + at) * 7));
        }
    }
}
END_TEST

/* --- whom a touch is blamed on -------------------------------------------------------------------------------- */

static void must_blame(const char *touched, const char *block)
{
    const struct tp_special *special = tp_special_blame(touched);
    ck_assert_ptr_eq(special != NULL ? special->block : NULL, block);
}

START_TEST(a_guard_is_the_nearer_neighbours)
{
    begin(TP_GUARD_NONE, 0);
    struct tp_checked_request request = request_of(100);
    char *left = make(&request);
    request.under = true;
    char *right = make(&request), *guard = left + 112;
    ck_assert_ptr_eq(right, guard + PAGE);
    must_blame(guard, left);
    must_blame(guard + 100, left);
    must_blame(guard + PAGE - 1, right);
    must_blame(guard + PAGE - 100, right);
    must_blame(left - 1, left);
    must_blame(right + 100, right);
    end(right);
    must_blame(guard + PAGE - 1, left); /* the live one first */
    must_blame(right + 50, right);
    end(left);
    must_blame(guard + PAGE - 1, right);
    must_blame(guard, left);
    must_blame(guard + 2 * PAGE, right); /* nobody ever was behind it */
}
END_TEST

/* --- all of them ---------------------------------------------------------------------------------------------- */

static void look_at_all(void *unused)
{
    (void)unused;
    tp_special_check_all();
}

static void change_and_look(void *byte)
{
    *(char *)byte ^= 1;
    tp_special_check_all();
}

static void must_find(char *byte, const char *rule)
{
    struct child_result clean = child_run(look_at_all, NULL), changed = child_run(change_and_look, byte);
    ck_assert_msg(child_succeeded(&clean), "%s", clean.text);
    ck_assert_msg(child_stopped(&changed, rule), "%s: %s", rule, changed.text);
}

START_TEST(all_live_blocks_are_looked_at)
{
    begin(TP_GUARD_NONE, 0);
    make_size(0);
    end(make_size(100));
    char *block = make_size(5000), *page = (char *)((uintptr_t)block / PAGE * PAGE);
    must_find(block + 5000, "SPECIAL_OVERRUN_FOUND");
    must_find(block + 5007, "SPECIAL_OVERRUN_FOUND");
    must_find(block - 1, "SPECIAL_UNDERRUN_FOUND");
    must_find(page, "SPECIAL_UNDERRUN_FOUND");
}
END_TEST

START_TEST(nobody_is_blamed_for_what_is_elsewhere)
{
    begin(TP_GUARD_NONE, 0);
    ck_assert_ptr_null(tp_special_blame(NULL));
    ck_assert_ptr_null(tp_special_at(&packed));
    char *block = make_size(100), *first = (char *)tp_special_area.base;
    must_blame(first + PAGE - 1, block); /* the guard before the first block */
    ck_assert_ptr_null(tp_special_blame(first - 1));
    ck_assert_ptr_null(tp_special_blame(first + 100 * PAGE));
    ck_assert_ptr_null(tp_special_blame(first + tp_special_area.used));
    ck_assert_ptr_null(tp_special_blame((void *)UINTPTR_MAX));
    ck_assert(!tp_special_owns(first - 1) && tp_special_owns(first));
}
END_TEST

/* --- what is counted ------------------------------------------------------------------------------------------ */

static struct tagpool_stats stats_of(tagpool_kind_t kind)
{
    struct tagpool_stats stats = {0};
    ck_assert_int_eq(tagpool_stats(kind, TAG, &stats), 0);
    return stats;
}

/* But for what the thread holds ahead. */
static uint64_t bound(tagpool_kind_t kind)
{
    uint32_t slot = tp_tag_find(TAG, kind == TAGPOOL_PAGED ? TP_LAYOUT_PAGED : TP_LAYOUT_NONPAGED);
    return tp_tags[slot].meter.bound - tp_gate_self->thread->slots[slot].drawn;
}

static void count_blocks(tagpool_kind_t kind)
{
    begin_verified("special=all ends=mixed", "");
    uint64_t sum = 0, pool = tp_limit_pools[kind].bound;
    for (size_t i = 0; i < SIZES; i++) {
        places[i] = tagpool_alloc(kind, sizes[i], TAG);
        ck_assert(tp_special_owns(places[i]));
        sum += tp_round_up(sizes[i], sizes[i] <= TP_CLASS_MAX_SIZE ? 16 : PAGE);
        ck_assert_uint_eq(stats_of(kind).bytes, sum);
        ck_assert_uint_eq(bound(kind), sum);
        ck_assert_uint_ge(tp_limit_pools[kind].bound, pool + sum);
        ck_assert_uint_eq(tp_segment->locked_bytes, kind == TAGPOOL_NONPAGED ? tp_limit_pools[kind].bound - pool : 0);
    }
    for (size_t i = 0; i < SIZES; i++)
        tagpool_free(places[i]);
    ck_assert_uint_eq(stats_of(kind).allocs, SIZES);
    ck_assert_uint_eq(stats_of(kind).frees, SIZES);
    ck_assert_uint_eq(stats_of(kind).bytes, 0);
    ck_assert_uint_ge(stats_of(kind).peak_bytes, sum);
    ck_assert_uint_eq(bound(kind), 0);
    ck_assert_uint_eq(tp_limit_pools[kind].bound, pool);
    ck_assert_uint_eq(tp_segment->locked_bytes, 0);
}

START_TEST(paged_blocks_count_what_was_asked_for)
{
    count_blocks(TAGPOOL_PAGED);
}
END_TEST

START_TEST(nonpaged_ones_too)
{
    count_blocks(TAGPOOL_NONPAGED);
}
END_TEST

START_TEST(a_tags_limit_holds)
{
    begin_verified("special=all", "");
    const tagpool_limit_t limit = {.hard = 64 * FEW};
    tagpool_limit_state_t state;
    ck_assert_int_eq(tagpool_limit_tag(TAGPOOL_PAGED, TAG, &limit), 0);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < FEW; i++) {
            places[i] = tagpool_alloc(TAGPOOL_PAGED, 50, TAG);
            ck_assert(tp_special_owns(places[i]));
        }
        ck_assert_ptr_null(tagpool_alloc(TAGPOOL_PAGED, 1, TAG));
        ck_assert_int_eq(errno, ENOMEM);
        ck_assert_int_eq(tagpool_limit_tag_state(TAGPOOL_PAGED, TAG, &state), 0);
        ck_assert_uint_eq(state.held, 64 * FEW);
        ck_assert_uint_eq(state.refused, 2 * round + 1);
        tagpool_free(places[0]);
        ck_assert_ptr_null(tagpool_alloc(TAGPOOL_PAGED, 65, TAG));
        places[0] = tagpool_alloc(TAGPOOL_PAGED, 64, TAG);
        ck_assert_ptr_nonnull(places[0]);
        for (int i = 0; i < FEW; i++)
            tagpool_free(places[i]);
    }
}
END_TEST

static uint64_t held(const tagpool_quota_t *quota)
{
    tagpool_quota_stats_t stats;
    ck_assert_int_eq(tagpool_quota_stats(quota, TAGPOOL_PAGED, &stats), 0);
    return stats.held;
}

START_TEST(quota_accounts_are_charged_and_get_it_back)
{
    begin_verified("special=all", "");
    const tagpool_quota_limits_t limits = {.paged = 1000};
    tagpool_quota_t *quota = tagpool_quota_create(NULL, "special", &limits);
    ck_assert_int_eq(tagpool_quota_attach(quota), 0);
    char *block = tagpool_alloc_flags(TAGPOOL_PAGED, 100, TAG, TAGPOOL_CHARGE);
    ck_assert(tp_special_owns(block));
    ck_assert_uint_eq(held(quota), 112);
    ck_assert_ptr_null(tagpool_alloc_flags(TAGPOOL_PAGED, 900, TAG, TAGPOOL_CHARGE));
    ck_assert_int_eq(errno, EDQUOT);
    ck_assert_ptr_null(tagpool_realloc(block, 1001));
    ck_assert_int_eq(errno, EDQUOT);
    memset(block, 7, 100);
    block = tagpool_realloc(block, 900);
    ck_assert(tp_special_owns(block) && is_all(7, block, 100));
    ck_assert_uint_eq(held(quota), 912);
    block = tagpool_realloc(block, 10);
    ck_assert(is_all(7, block, 10));
    ck_assert_uint_eq(held(quota), 16);
    tagpool_free(block);
    ck_assert_uint_eq(held(quota), 0);
    tagpool_quota_destroy(quota);
}
END_TEST

/* --- where there is no room ----------------------------------------------------------------------------------- */

static size_t address_space(void)
{
    char text[32] = "";
    int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    ck_assert_int_gt(read(fd, text, sizeof(text) - 1), 0);
    close(fd);
    return strtoul(text, NULL, 10) * PAGE;
}

static struct tagpool_report_counters counters(void)
{
    struct tagpool_report_counters now;
    tp_figures_read(&now);
    return now;
}

START_TEST(without_address_space_blocks_are_watched)
{
    begin_verified("special=all tags=Spec", "");
    tagpool_free(tagpool_alloc(TAGPOOL_PAGED, 1, TAGPOOL_TAG('O', 't', 'h', 'r')));
    struct rlimit limit = {address_space() + 32 * TP_MIB, RLIM_INFINITY};
    ck_assert_int_eq(setrlimit(RLIMIT_AS, &limit), 0);
    for (int i = 0; i < FEW; i++) {
        places[i] = tagpool_alloc(TAGPOOL_PAGED, 100, TAG);
        ck_assert_ptr_nonnull(places[i]);
        ck_assert(tp_block_look_up(places[i]).page->watched);
        ck_assert_uint_eq(tagpool_size(places[i]), 100);
    }
    ck_assert_uint_eq(counters().special_refused, FEW);
    ck_assert_uint_eq(counters().allocs_watched, FEW);
    ck_assert_uint_eq(counters().allocs_special, 0);
    char *large = tagpool_alloc(TAGPOOL_PAGED, 200000, TAG); /* too large to be watched */
    ck_assert_ptr_nonnull(large);
    ck_assert_uint_ge(tagpool_size(large), 200000);
    tagpool_free(large);
    for (int i = 0; i < FEW; i++)
        tagpool_free(places[i]);
    ck_assert_uint_eq(stats_of(TAGPOOL_PAGED).bytes, 0);
}
END_TEST

/* Quarantine is as long as a small area allows: it does not keep all of it. */
START_TEST(a_small_area_is_used_again_and_again)
{
    begin(TP_GUARD_NONE, 0);
    struct rlimit limit = {address_space() + 100 * TP_MIB, RLIM_INFINITY};
    ck_assert_int_eq(setrlimit(RLIMIT_AS, &limit), 0);
    for (int i = 0; i < PLACES; i++)
        end(make_size(100));
    ck_assert_uint_le(tp_special_area.used, 100 * TP_MIB);
}
END_TEST

START_TEST(protect_refuses_beyond_its_mappings)
{
    begin_verified("special=all guard=protect quarantine=1", "");
    int count = 0;
    for (; count < PLACES; count++) {
        places[count] = tagpool_alloc(TAGPOOL_PAGED, 100, TAG);
        ck_assert_ptr_nonnull(places[count]);
        if (!tp_special_owns(places[count]))
            break;
    }
    ck_assert_int_lt(count, PLACES);
    ck_assert_uint_eq(counters().special_refused, 1);
    ck_assert_uint_eq(counters().allocs_special, count);
    tagpool_free(places[0]);
    places[0] = tagpool_alloc(TAGPOOL_PAGED, 100, TAG);
    ck_assert(tp_special_owns(places[0]));
    for (int i = 0; i <= count; i++)
        tagpool_free(places[i]);
    ck_assert_uint_eq(stats_of(TAGPOOL_PAGED).bytes, 0);
    ck_assert_uint_eq(bound(TAGPOOL_PAGED), 0);
}
END_TEST

/* An account's block that must move goes to ordinary pool where no other has room. */
START_TEST(charged_blocks_find_ordinary_pool)
{
    begin_verified("special=all tags=Spec", "");
    tagpool_quota_t *quota = tagpool_quota_create(NULL, "ordinary", NULL);
    ck_assert_int_eq(tagpool_quota_attach(quota), 0);
    tagpool_free(tagpool_alloc(TAGPOOL_PAGED, 1, TAGPOOL_TAG('O', 't', 'h', 'r')));
    struct rlimit limit = {address_space() + 32 * TP_MIB, RLIM_INFINITY};
    ck_assert_int_eq(setrlimit(RLIMIT_AS, &limit), 0);
    char *block = tagpool_alloc_flags(TAGPOOL_PAGED, 100, TAG, TAGPOOL_CHARGE);
    ck_assert_ptr_nonnull(block);
    memset(block, 5, 100);
    block = tagpool_realloc(block, 200000);
    ck_assert_ptr_nonnull(block);
    ck_assert(is_all(5, block, 100));
    ck_assert_uint_eq(held(quota), tagpool_size(block));
    block = tagpool_realloc(block, 50);
    ck_assert(is_all(5, block, 50));
    ck_assert_uint_eq(held(quota), 64);
    tagpool_free(block);
    ck_assert_uint_eq(held(quota), 0);
}
END_TEST

START_TEST(what_no_area_holds_is_refused)
{
    begin(TP_GUARD_NONE, 0);
    struct tp_checked_request request = request_of((size_t)1 << 45);
    ck_assert_ptr_null(tp_special_alloc(tp_thread_self(), &request));
    request = request_of(100);
    request.alignment = (size_t)1 << 45;
    ck_assert_ptr_null(tp_special_alloc(tp_thread_self(), &request));
    end(make_size(1));
}
END_TEST

/* --- fork ----------------------------------------------------------------------------------------------------- */

static void child_frees_all(void *unused)
{
    (void)unused;
    fault_must(tagpool_size(places[0]) == 100);
    struct tagpool_stats stats;
    fault_must(tagpool_stats(TAGPOOL_PAGED, TAG, &stats) == 0);
    fault_must(stats.allocs == FEW && stats.frees == 0 && stats.bytes == 112 * FEW);
    for (int i = 0; i < FEW; i++) {
        fault_must(is_all((char)i, places[i], 100));
        tagpool_free(places[i]);
        fault_must(touch(places[i], true) != 0);
    }
    for (int i = 0; i < FEW; i++) {
        places[i] = tagpool_alloc(TAGPOOL_PAGED, 100, TAG);
        fault_must(tp_special_owns(places[i]) && is_all(0, places[i], 100));
        memset(places[i], 0x77, 100);
        fault_must(touch(places[i] + 112, true) != 0);
    }
    for (int i = 0; i < FEW; i++)
        tagpool_free(places[i]);
    fault_must_be_empty(TAGPOOL_PAGED, TAG);
}

static void a_child_has_the_blocks_too(enum tp_guard_kind kind, const char *guard)
{
    begin_verified("special=all", guard);
    for (int i = 0; i < FEW; i++) {
        places[i] = tagpool_alloc(TAGPOOL_PAGED, 100, TAG);
        ck_assert_ptr_nonnull(places[i]);
        memset(places[i], i, 100);
    }
    for (int children = 0; children < 2; children++) {
        struct child_result result = child_run(child_frees_all, NULL);
        ck_assert_msg(child_succeeded(&result), "%s", result.text);
    }
    ck_assert_uint_eq(stats_of(TAGPOOL_PAGED).bytes, 112 * FEW);
    for (int i = 0; i < FEW; i++) {
        ck_assert(is_all((char)i, places[i], 100));
        must_be_guard(places[i] + 112);
        tagpool_free(places[i]);
    }
    ck_assert_uint_eq(stats_of(TAGPOOL_PAGED).bytes, 0);
}
EACH_KIND(a_child_has_the_blocks_too)

static bool churning;

static void *churn(void *unused)
{
    while (__atomic_load_n(&churning, __ATOMIC_RELAXED))
        tagpool_free(tagpool_alloc(TAGPOOL_PAGED, 100, TAG));
    return unused;
}

static void add_bytes(const struct tp_special *special, void *sum)
{
    if (tp_tags[special->slot].tag == TAG)
        *(uint64_t *)sum += tp_checked_bytes(special->size);
}

/* A block that another thread was about to give out, or had given back, is nobody's. */
static void child_counts_what_lives(void *unused)
{
    struct tagpool_stats stats = {0};
    uint64_t sum = 0;
    (void)unused;
    tp_thread_self();
    tp_special_each(add_bytes, &sum);
    tp_special_check_all();
    fault_must(tagpool_stats(TAGPOOL_PAGED, TAG, &stats) == 0);
    fault_must(stats.bytes == sum && sum >= 112);
    tagpool_free(places[0]);
    tagpool_free(tagpool_alloc(TAGPOOL_PAGED, 100, TAG));
    fault_must(tagpool_stats(TAGPOOL_PAGED, TAG, &stats) == 0);
    fault_must(stats.bytes == sum - 112);
}

START_TEST(a_child_is_made_in_the_middle_of_anything)
{
    pthread_t thread;
    begin_verified("special=all quarantine=10", "");
    places[0] = tagpool_alloc(TAGPOOL_PAGED, 100, TAG);
    churning = true;
    ck_assert_int_eq(pthread_create(&thread, NULL, churn, NULL), 0);
    for (int i = 0; i < FEW; i++) {
        struct child_result result = child_run(child_counts_what_lives, NULL);
        ck_assert_msg(child_succeeded(&result), "%s", result.text);
    }
    __atomic_store_n(&churning, false, __ATOMIC_RELAXED);
    pthread_join(thread, NULL);
}
END_TEST

/* --- threads -------------------------------------------------------------------------------------------------- */

/* Blocks of all threads in one table: most are freed by another thread than their own. */
static void *work(void *argument)
{
    struct dice dice = {.state = (uintptr_t)argument * 77 + 1};
    for (int i = 0; i < OPERATIONS; i++) {
        size_t size = dice_below(&dice, 20) == 0 ? dice_below(&dice, 300000) : dice_below(&dice, 5000);
        char *block = tagpool_alloc(TAGPOOL_PAGED, size, TAG);
        if (block == NULL || !is_all(0, block, size))
            return "a block was not there, or not zero";
        memset(block, 0x55, size);
        block = __atomic_exchange_n(&places[dice_below(&dice, FEW)], block, __ATOMIC_ACQ_REL);
        if (block != NULL && !is_all(0x55, block, tagpool_size(block)))
            return "a block was changed";
        tagpool_free(block);
    }
    return NULL;
}

static void threads_free_each_others_blocks(enum tp_guard_kind kind, const char *guard)
{
    pthread_t threads[3];
    begin_verified("special=all quarantine=10 ends=mixed", guard);
    for (uintptr_t i = 0; i < 3; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, work, (void *)(i + 1)), 0);
    for (int i = 0; i < FEW; i++)
        tp_special_check_all(); /* meanwhile */
    for (int i = 0; i < 3; i++) {
        void *wrong = NULL;
        pthread_join(threads[i], &wrong);
        ck_assert_msg(wrong == NULL, "%s", (const char *)wrong);
    }
    tp_special_check_all();
    for (int i = 0; i < FEW; i++)
        tagpool_free(places[i]);
    ck_assert_uint_eq(stats_of(TAGPOOL_PAGED).bytes, 0);
    ck_assert_uint_eq(stats_of(TAGPOOL_PAGED).allocs, 3 * OPERATIONS);
    ck_assert_uint_eq(bound(TAGPOOL_PAGED), 0);
}
EACH_KIND(threads_free_each_others_blocks)

/* --- refusals of the system ----------------------------------------------------------------------------------- */

/* Whatever fails, there is a block, special or not, with the contents it should have. */
static void with_failures(void)
{
    static const size_t lengths[] = {100, 0, 5000, 300000, 16};
    char *blocks[5];
    for (int i = 0; i < 5; i++) {
        blocks[i] = tagpool_zalloc(TAGPOOL_PAGED, lengths[i], TAG);
        if (blocks[i] == NULL)
            continue;
        fault_must(is_all(0, blocks[i], lengths[i]));
        memset(blocks[i], i, lengths[i]);
        char *longer = tagpool_realloc(blocks[i], lengths[i] + 1000);
        blocks[i] = longer != NULL ? longer : blocks[i];
        fault_must(is_all((char)i, blocks[i], lengths[i]));
    }
    char *locked = tagpool_alloc(TAGPOOL_NONPAGED, 100, TAG);
    tagpool_free(locked);
    for (int i = 0; i < 5; i++)
        tagpool_free(blocks[i]);
    fault_must_be_empty(TAGPOOL_PAGED, TAG);
    fault_must_be_empty(TAGPOOL_NONPAGED, TAG);
    fault_must(bound(TAGPOOL_PAGED) == 0);
    char *block = tagpool_alloc(TAGPOOL_PAGED, 100, TAG);
    fault_must(block != NULL);
    tagpool_free(block);
}

static void whatever_fails_nothing_is_lost(enum tp_guard_kind kind, const char *guard)
{
    begin_verified("special=all tags=Spec quarantine=1", guard);
    ck_assert_uint_gt(fault_each(with_failures), 10);
}
EACH_KIND(whatever_fails_nothing_is_lost)

UNIT_MAIN("special", KINDS(a_block_ends_where_a_guard_begins), KINDS(under_it_begins_where_a_guard_ends),
          exact_it_ends_there_to_the_byte, alignments_are_kept, KINDS(no_bytes_are_a_guard_of_ones_own),
          the_api_keeps_its_word_about_pages, a_run_waits_for_its_turn, runs_serve_blocks_of_as_many_pages,
          first_and_last_bytes_are_kept, a_guard_is_the_nearer_neighbours, nobody_is_blamed_for_what_is_elsewhere,
          all_live_blocks_are_looked_at, paged_blocks_count_what_was_asked_for, nonpaged_ones_too, a_tags_limit_holds,
          quota_accounts_are_charged_and_get_it_back, without_address_space_blocks_are_watched,
          a_small_area_is_used_again_and_again, protect_refuses_beyond_its_mappings, charged_blocks_find_ordinary_pool,
          what_no_area_holds_is_refused, KINDS(a_child_has_the_blocks_too), a_child_is_made_in_the_middle_of_anything,
          KINDS(threads_free_each_others_blocks), KINDS(whatever_fails_nothing_is_lost))
