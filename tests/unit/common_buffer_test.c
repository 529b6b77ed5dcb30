/*
 * D1 to D3 and the rules of the public header.  Frames are the system's where it tells them, and of the test's choice
 * everywhere.
 */
#include "child.h"
#include "fault.h"
#include "unit.h"

#include "iova.h"
#include "os.h"
#include "segment.h"
#include "space.h"
#include "span.h"

#include <tagpool/common_buffer.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define TAG TAGPOOL_TAG('D', 'm', 'a', 'B')
#define PAGE TP_OS_PAGE
enum { MANY = 1000, RUNS = 1000 };

static tagpool_common_buffer_t *buffers[MANY];

static tagpool_common_buffer_options_t of_size(size_t size)
{
    return (tagpool_common_buffer_options_t){.tag = TAG, .size = size};
}

static tagpool_common_buffer_options_t of_size_on(size_t size, tagpool_bus_t bus)
{
    return (tagpool_common_buffer_options_t){.tag = TAG, .size = size, .bus = bus};
}

static tagpool_common_buffer_t *made(tagpool_common_buffer_options_t options)
{
    tagpool_common_buffer_t *buffer = tagpool_common_buffer_alloc(&options);
    ck_assert_ptr_nonnull(buffer);
    memset(tagpool_common_buffer_address(buffer), 0x5a, options.size); /* all of it is the caller's */
    return buffer;
}

static void check_refused(tagpool_common_buffer_options_t options, int error)
{
    errno = 0;
    ck_assert_ptr_null(tagpool_common_buffer_alloc(&options));
    ck_assert_int_eq(errno, error);
}

static struct tagpool_stats account(void)
{
    struct tagpool_stats stats = {0, 0, 0, 0};
    tagpool_stats(TAGPOOL_NONPAGED, TAG, &stats);
    return stats;
}

static void check_nothing_left(void)
{
    ck_assert_uint_eq(account().allocs, account().frees);
    ck_assert_uint_eq(account().bytes, 0);
    ck_assert_uint_eq(tp_segment->locked_bytes, 0);
}

/* One that runs from the first to the last byte of the buffer. */
static void check_one_run(const tagpool_common_buffer_t *buffer, size_t size)
{
    tagpool_bus_run_t run;
    ck_assert_uint_eq(tagpool_common_buffer_runs(buffer, &run, 1), 1);
    ck_assert_uint_eq(run.address, tagpool_common_buffer_bus_address(buffer));
    ck_assert_uint_eq(run.length, size);
}

/* --- memory --------------------------------------------------------------------------------------------------- */

START_TEST(wrong_options_are_einval)
{
    check_refused(of_size(0), EINVAL);
    check_refused((tagpool_common_buffer_options_t){.tag = 7, .size = 1}, EINVAL);
    check_refused(of_size_on(1, (tagpool_bus_t)3), EINVAL);
    check_refused((tagpool_common_buffer_options_t){.tag = TAG, .size = 1, .flags = 2}, EINVAL);
    check_refused((tagpool_common_buffer_options_t){
        .tag = TAG, .size = 1, .minimum_address = 0x2000, .maximum_address = 0x1fff}, EINVAL);
    tagpool_common_buffer_free(NULL);
}
END_TEST

START_TEST(it_has_as_many_pages_as_it_needs)
{
    static const size_t sizes[] = {1, 100, PAGE - 1, PAGE, PAGE + 1, 2 * PAGE, 5 * PAGE, 100 * PAGE,
                                   TP_HUGE_PAGE - PAGE, TP_HUGE_PAGE, TP_HUGE_PAGE + 1};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        tagpool_common_buffer_t *buffer = made(of_size(sizes[i]));
        ck_assert_uint_eq(account().bytes, tp_round_up(sizes[i], PAGE));
        ck_assert_uint_eq(tp_segment->locked_bytes, tp_round_up(sizes[i], PAGE));
        void *address = tagpool_common_buffer_address(buffer);
        ck_assert_uint_eq((uintptr_t)address % PAGE, 0);
        ck_assert_uint_eq(tagpool_tag_of(address), TAG);
        ck_assert_int_ge(tagpool_common_buffer_flush(buffer), 0);
        errno = 77;
        tagpool_common_buffer_free(buffer);
        ck_assert_int_eq(errno, 77);
        check_nothing_left();
    }
}
END_TEST

START_TEST(called_once_for_each_one_page_buffers_are_one_page_each)
{
    for (int i = 0; i < 100; i++) {
        buffers[i] = made(of_size(PAGE));
        ck_assert_uint_eq(account().bytes, (size_t)(i + 1) * PAGE);
        ck_assert_int_eq(tagpool_common_buffer_is_contiguous(buffers[i]), 1);
    }
    for (int i = 0; i < 100; i++)
        tagpool_common_buffer_free(buffers[i]);
    check_nothing_left();
}
END_TEST

struct breach {
    size_t size;
    size_t offset;
    bool at_free;
};

static void write_outside(void *argument)
{
    const struct breach *breach = argument;
    tagpool_common_buffer_options_t options = of_size(breach->size);
    tagpool_common_buffer_t *buffer = tagpool_common_buffer_alloc(&options);
    char *address = tagpool_common_buffer_address(buffer);
    address[breach->offset]++;
    if (breach->at_free)
        tagpool_common_buffer_free(buffer);
    else
        tagpool_common_buffer_flush(buffer);
}

START_TEST(a_byte_behind_its_end_is_noticed)
{
    static const struct breach breaches[] = {
        {100, 100, false}, {100, 101, true}, {100, PAGE - 1, false}, {1, 1, true}, {PAGE - 1, PAGE - 1, false},
        {3 * PAGE + 7, 3 * PAGE + 7, true}, {3 * PAGE + 7, 4 * PAGE - 1, false},
    };
    for (size_t i = 0; i < sizeof(breaches) / sizeof(breaches[0]); i++) {
        struct breach breach = breaches[i];
        char expected[128];
        struct child_result result = child_run(write_outside, &breach);
        ck_assert(child_aborted(&result));
        snprintf(expected, sizeof(expected), "*** STOP: 0x000000E6 (0x%016X, 0x%016X, 0x%016zX, ", 0x0F, 2,
                 breach.size);
        ck_assert_ptr_eq(strstr(result.text, expected), result.text);
        breach.offset = breach.size - 1;
        result = child_run(write_outside, &breach);
        ck_assert(child_succeeded(&result));
    }
}
END_TEST

static size_t locked_by_system(void)
{
    char line[256];
    size_t kib = SIZE_MAX;
    FILE *status = fopen("/proc/self/status", "r");
    while (fgets(line, sizeof(line), status) != NULL)
        if (sscanf(line, "VmLck: %zu", &kib) == 1)
            break;
    fclose(status);
    return kib * TP_KIB;
}

START_TEST(it_is_a_part_of_the_nonpaged_pool)
{
    const struct rlimit limit = {16 * PAGE, 16 * PAGE};
    ck_assert_int_eq(setrlimit(RLIMIT_MEMLOCK, &limit), 0);
    check_refused(of_size(16 * PAGE + 1), ENOMEM);
    check_refused(of_size(SIZE_MAX), ENOMEM);
    buffers[0] = made(of_size(5 * PAGE));
    buffers[1] = made(of_size(10 * PAGE));
    check_refused(of_size(2 * PAGE), ENOMEM);
    buffers[2] = made(of_size(PAGE));
    check_refused(of_size(1), ENOMEM);
    ck_assert_uint_eq(tp_segment->locked_bytes, 16 * PAGE);
    ck_assert_uint_eq(locked_by_system(), 16 * PAGE);
    for (int i = 0; i < 3; i++)
        tagpool_common_buffer_free(buffers[i]);
    check_nothing_left();
    ck_assert_uint_eq(locked_by_system(), 0);
}
END_TEST

/* Of the pools. */
static size_t mappings(void)
{
    char line[512];
    size_t count = 0;
    FILE *maps = fopen("/proc/self/maps", "r");
    while (fgets(line, sizeof(line), maps) != NULL)
        count += tp_unit_of((void *)strtoul(line, NULL, 16)) < tp_space.unit_count;
    fclose(maps);
    ck_assert_uint_ge(count, 2);
    return count;
}

static void come_and_go(size_t size)
{
    for (int i = 0; i < MANY / 10; i++)
        tagpool_common_buffer_free(made(of_size(size)));
    size_t mappings_before = mappings();
    uint64_t metadata_before = tp_segment->metadata_bytes;
    uint64_t touched_before = tp_segment->touched_bytes;
    for (int i = 0; i < MANY; i++)
        tagpool_common_buffer_free(made(of_size(size)));
    ck_assert_uint_le(mappings(), mappings_before);
    ck_assert_uint_eq(tp_segment->metadata_bytes, metadata_before);
    ck_assert_uint_le(tp_segment->touched_bytes, touched_before); /* less where free memory has become old */
    check_nothing_left();
}

START_TEST(coming_and_going_uses_nothing_up)
{
    come_and_go(100);
    come_and_go(5 * PAGE);
    come_and_go(TP_HUGE_PAGE);
}
END_TEST

START_TEST(many_at_once_leave_nothing)
{
    tagpool_common_buffer_free(made(of_size(3 * PAGE)));
    size_t before = mappings();
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < MANY / 4; i++)
            buffers[i] = made(of_size(3 * PAGE));
        for (int i = 0; i < MANY / 4; i++)
            tagpool_common_buffer_free(buffers[i]);
        ck_assert_uint_le(mappings(), before);
        check_nothing_left();
    }
}
END_TEST

/* --- physical addresses, as the system has them --------------------------------------------------------------- */

/* What the system says, read by other means than the engine's. */
static uint64_t frame_of(const char *address)
{
    uint64_t entry = 0;
    int fd = open("/proc/self/pagemap", O_RDONLY);
    if (fd < 0)
        return 0;
    if (pread(fd, &entry, sizeof(entry), (off_t)((uintptr_t)address / PAGE * sizeof(entry))) != sizeof(entry))
        entry = 0;
    close(fd);
    return entry & ((UINT64_C(1) << 55) - 1);
}

/* Whether the system tells frames to us. */
static bool is_told(void)
{
    char here[1] = {1};
    return frame_of(here) != 0;
}

/* Each page is where the runs say. */
static void check_frames(const tagpool_common_buffer_t *buffer, size_t size)
{
    tagpool_bus_run_t runs[RUNS];
    const char *address = tagpool_common_buffer_address(buffer);
    size_t count = tagpool_common_buffer_runs(buffer, runs, RUNS);
    ck_assert_uint_ge(count, 1);
    ck_assert_uint_le(count, RUNS);
    for (size_t run = 0; run < count; run++)
        for (uint64_t done = 0; done < runs[run].length; done += PAGE, address += PAGE) {
            ck_assert_uint_eq(frame_of(address) * PAGE, runs[run].address + done);
            size -= tp_min(PAGE, size);
        }
    ck_assert_uint_eq(size, 0);
    ck_assert_int_eq(tagpool_common_buffer_is_contiguous(buffer), count == 1);
}

START_TEST(physical_addresses_are_those_of_the_system)
{
    static const size_t sizes[] = {100, PAGE, 3 * PAGE + 1, 100 * PAGE, TP_HUGE_PAGE, TP_HUGE_PAGE + 5 * PAGE};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        if (!is_told()) {
            check_refused(of_size_on(sizes[i], TAGPOOL_BUS_PHYSICAL), EPERM);
            continue;
        }
        tagpool_common_buffer_t *buffer = made(of_size_on(sizes[i], TAGPOOL_BUS_PHYSICAL));
        ck_assert_int_eq(tagpool_common_buffer_bus(buffer), TAGPOOL_BUS_PHYSICAL);
        ck_assert_int_ge(tagpool_common_buffer_flush(buffer), 0);
        check_frames(buffer, sizes[i]);
        tagpool_common_buffer_free(buffer);
    }
    check_nothing_left();
}
END_TEST

/* Whether the system makes huge pages on demand at all: not before Linux 6.1. */
static bool has_huge_pages(void)
{
    char *memory = tp_os_reserve(2 * TP_HUGE_PAGE);
    char *start = (char *)tp_round_up((uintptr_t)memory, TP_HUGE_PAGE);
    ck_assert_int_eq(tp_os_commit(start, TP_HUGE_PAGE), 0);
    *start = 1;
    return tp_os_collapse(start, TP_HUGE_PAGE) == 0;
}

START_TEST(up_to_a_huge_page_it_is_contiguous)
{
    static const size_t sizes[] = {2 * PAGE, 7 * PAGE, 300 * PAGE, TP_HUGE_PAGE};
    if (!has_huge_pages())
        return;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        tagpool_common_buffer_options_t options = of_size(sizes[i]);
        options.flags = TAGPOOL_COMMON_BUFFER_CONTIGUOUS;
        tagpool_common_buffer_t *buffer = made(options);
        ck_assert_int_eq(tagpool_common_buffer_is_contiguous(buffer), 1);
        check_one_run(buffer, sizes[i]);
        char *address = tagpool_common_buffer_address(buffer);
        for (size_t offset = PAGE; is_told() && offset < sizes[i]; offset += PAGE)
            ck_assert_uint_eq(frame_of(address + offset), frame_of(address) + offset / PAGE);
        tagpool_common_buffer_free(buffer);
    }
    check_nothing_left();
}
END_TEST

START_TEST(of_a_huge_page_it_keeps_what_it_needs)
{
    size_t dirty = tp_span_dirty_bytes();
    tagpool_common_buffer_t *buffer = made(of_size(5 * PAGE));
    char *address = tagpool_common_buffer_address(buffer);
    for (size_t offset = 5 * PAGE; offset < TP_HUGE_PAGE; offset += PAGE)
        ck_assert_uint_eq(frame_of(address + offset), 0);
    tagpool_common_buffer_free(buffer);
    ck_assert_uint_eq(frame_of(address), 0);
    ck_assert_uint_eq(tp_span_dirty_bytes(), dirty);
}
END_TEST

/* --- physical addresses of the test's choice ------------------------------------------------------------------ */

/* Frames of one buffer's pages: page i has first + i + 10 for each `gap` pages before it.  0: not told. */
static uint64_t fake_first = 1000;
static uint64_t fake_gap = UINT64_MAX;
static int fake_error;
static int fake_good_try; /* the first tries are out of any bounds */
static int fake_calls;
static unsigned fake_pages; /* one-page buffers at an address higher than all before */

static int fake_frames(const void *address, size_t count, uint64_t *frames)
{
    static uintptr_t start, highest;
    fake_calls++;
    fake_pages += count == 1 && (uintptr_t)address > highest;
    highest = tp_max(highest, (uintptr_t)address);
    if (fake_error != 0)
        return fake_error;
    if ((uintptr_t)address % TP_HUGE_PAGE == 0 || count == 1)
        start = (uintptr_t)address;
    uint64_t page = ((uintptr_t)address - start) / PAGE;
    for (size_t i = 0; i < count; i++, page++)
        frames[i] = fake_first == 0 ? 0 : fake_first + page + 10 * (page / fake_gap);
    for (size_t i = 0; i < count && fake_calls < fake_good_try; i++)
        frames[i] += UINT64_C(1) << 30;
    return 0;
}

START_TEST(scattered_memory_says_so)
{
    const tagpool_bus_run_t expected[] = {
        {1000 * PAGE, 2 * PAGE}, {1012 * PAGE, 2 * PAGE}, {1024 * PAGE, PAGE + 5}};
    tagpool_bus_run_t runs[3];
    fake_gap = 2;
    fault_frames = fake_frames;
    tagpool_common_buffer_t *buffer = made(of_size(5 * PAGE + 5));
    ck_assert_int_eq(tagpool_common_buffer_bus(buffer), TAGPOOL_BUS_PHYSICAL);
    ck_assert_uint_eq(tagpool_common_buffer_bus_address(buffer), 1000 * PAGE);
    ck_assert_int_eq(tagpool_common_buffer_is_contiguous(buffer), 0);
    ck_assert_uint_eq(tagpool_common_buffer_runs(buffer, NULL, 0), 3);
    memset(runs, 0xff, sizeof(runs));
    ck_assert_uint_eq(tagpool_common_buffer_runs(buffer, runs, 2), 3);
    ck_assert_int_eq(memcmp(runs, expected, 2 * sizeof(runs[0])), 0);
    ck_assert_uint_eq(runs[2].address, UINT64_MAX); /* there was room for two */
    ck_assert_uint_eq(tagpool_common_buffer_runs(buffer, runs, 3), 3);
    ck_assert_int_eq(memcmp(runs, expected, sizeof(runs)), 0);
    tagpool_common_buffer_free(buffer);
    check_nothing_left();
}
END_TEST

START_TEST(a_caller_may_insist_on_contiguous_memory)
{
    tagpool_common_buffer_options_t options = of_size(5 * PAGE);
    options.flags = TAGPOOL_COMMON_BUFFER_CONTIGUOUS;
    fake_gap = 2;
    fault_frames = fake_frames;
    check_refused(options, ENOBUFS);
    check_nothing_left();
    fake_gap = 5;
    tagpool_common_buffer_t *buffer = made(options);
    check_one_run(buffer, options.size);
    tagpool_common_buffer_free(buffer);
    options.bus = TAGPOOL_BUS_VIRTUAL;
    options.size = TP_HUGE_PAGE + PAGE; /* nobody knows */
    check_refused(options, ENOBUFS);
    check_nothing_left();
    options.flags = 0;
    buffer = made(options);
    ck_assert_int_eq(tagpool_common_buffer_is_contiguous(buffer), 0);
    ck_assert_uint_eq(tagpool_common_buffer_bus_address(buffer), TP_IOVA_FIRST); /* the refused one gave it back */
    tagpool_common_buffer_free(buffer);
}
END_TEST

static void bounds(size_t size, uint64_t minimum, uint64_t maximum, int error)
{
    tagpool_common_buffer_options_t options = of_size(size);
    options.minimum_address = minimum;
    options.maximum_address = maximum;
    if (error != 0)
        check_refused(options, error);
    else
        tagpool_common_buffer_free(made(options));
    check_nothing_left();
}

START_TEST(bounds_hold_for_each_page)
{
    fake_gap = 3;
    fault_frames = fake_frames;
    bounds(5 * PAGE, 1000 * PAGE, 1015 * PAGE - 1, 0);
    bounds(5 * PAGE, 1000 * PAGE + 1, 0, ERANGE);
    bounds(5 * PAGE, 0, 1015 * PAGE - 2, ERANGE);
    bounds(1, 0, 1001 * PAGE - 1, 0);
    bounds(1, 0, 1001 * PAGE - 2, ERANGE); /* the device may write the whole page */
    bounds(1, 0, 5, ERANGE);
}
END_TEST

START_TEST(it_tries_a_few_times_before_it_says_no)
{
    tagpool_common_buffer_options_t options = of_size(PAGE);
    options.maximum_address = UINT32_MAX;
    fault_frames = fake_frames;
    fake_good_try = 3;
    tagpool_common_buffer_t *buffer = made(options);
    ck_assert_int_eq(fake_calls, 3);
    ck_assert_uint_eq(account().allocs, 3);
    ck_assert_uint_eq(account().bytes, PAGE);
    ck_assert_uint_eq(fake_pages, 3); /* what was refused does not come again */
    tagpool_common_buffer_free(buffer);
    fake_calls = 0;
    fake_good_try = 1000;
    check_refused(options, ERANGE);
    ck_assert_int_gt(fake_calls, 3);
    ck_assert_int_lt(fake_calls, 100);
    check_nothing_left();
    fake_calls = 0;
    const struct rlimit limit = {2 * PAGE, 2 * PAGE};
    ck_assert_int_eq(setrlimit(RLIMIT_MEMLOCK, &limit), 0);
    check_refused(options, ERANGE); /* there was memory, elsewhere */
    check_nothing_left();
}
END_TEST

START_TEST(who_is_not_told_gets_virtual_addresses)
{
    static const int errors[] = {0, -ENOENT, -EACCES, -EPERM};
    fault_frames = fake_frames;
    fake_first = 0;
    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        fake_error = errors[i];
        tagpool_common_buffer_t *buffer = made(of_size(3 * PAGE));
        ck_assert_int_eq(tagpool_common_buffer_bus(buffer), TAGPOOL_BUS_VIRTUAL);
        check_one_run(buffer, 3 * PAGE);
        ck_assert_int_eq(tagpool_common_buffer_flush(buffer), 0);
        tagpool_common_buffer_free(buffer);
        check_refused(of_size_on(PAGE, TAGPOOL_BUS_PHYSICAL), EPERM);
    }
    fake_error = -EMFILE; /* what may pass is no reason for another sort of address */
    check_refused(of_size(3 * PAGE), EMFILE);
    check_nothing_left();
}
END_TEST

START_TEST(a_user_without_privileges_gets_virtual_addresses)
{
    if (geteuid() == 0)
        ck_assert_int_eq(setresuid(65534, 65534, 65534), 0);
    ck_assert(!is_told());
    check_refused(of_size_on(PAGE, TAGPOOL_BUS_PHYSICAL), EPERM);
    tagpool_common_buffer_t *buffer = made(of_size(PAGE));
    ck_assert_int_eq(tagpool_common_buffer_bus(buffer), TAGPOOL_BUS_VIRTUAL);
    tagpool_common_buffer_free(buffer);
    check_nothing_left();
}
END_TEST

START_TEST(flush_tells_that_pages_have_moved)
{
    fault_frames = fake_frames;
    tagpool_common_buffer_t *buffer = made(of_size(400 * PAGE)); /* read in several parts */
    ck_assert_int_eq(tagpool_common_buffer_flush(buffer), 0);
    fake_gap = 300;
    ck_assert_int_eq(tagpool_common_buffer_flush(buffer), 1);
    ck_assert_int_eq(tagpool_common_buffer_is_contiguous(buffer), 0);
    ck_assert_uint_eq(tagpool_common_buffer_runs(buffer, NULL, 0), 2);
    ck_assert_int_eq(tagpool_common_buffer_flush(buffer), 0);
    fake_first = 5000;
    ck_assert_int_eq(tagpool_common_buffer_flush(buffer), 1);
    ck_assert_uint_eq(tagpool_common_buffer_bus_address(buffer), 5000 * PAGE);
    fake_first = 0;
    errno = 0;
    ck_assert_int_eq(tagpool_common_buffer_flush(buffer), -1);
    ck_assert_int_eq(errno, EPERM);
    fake_error = -ENFILE;
    ck_assert_int_eq(tagpool_common_buffer_flush(buffer), -1);
    ck_assert_int_eq(errno, ENFILE);
    ck_assert_uint_eq(tagpool_common_buffer_bus_address(buffer), 5000 * PAGE);
    tagpool_common_buffer_free(buffer);
}
END_TEST

/* --- virtual addresses ---------------------------------------------------------------------------------------- */

START_TEST(virtual_addresses_are_first_fit_within_bounds)
{
    tagpool_common_buffer_options_t options = of_size_on(3 * PAGE, TAGPOOL_BUS_VIRTUAL);
    buffers[0] = made(options);
    ck_assert_uint_eq(tagpool_common_buffer_bus_address(buffers[0]), TP_IOVA_FIRST);
    options.minimum_address = 0x100000001;
    options.maximum_address = 0x100003fff;
    buffers[1] = made(options);
    ck_assert_uint_eq(tagpool_common_buffer_bus_address(buffers[1]), 0x100001000);
    check_one_run(buffers[1], 3 * PAGE);
    check_refused(options, ERANGE);
    tagpool_common_buffer_free(buffers[1]);
    buffers[1] = made(options);
    ck_assert_uint_eq(tagpool_common_buffer_bus_address(buffers[1]), 0x100001000);
    tagpool_common_buffer_free(buffers[0]);
    tagpool_common_buffer_free(buffers[1]);
    check_nothing_left();
}
END_TEST

static void *take_and_give(void *argument)
{
    tagpool_common_buffer_options_t options =
        of_size_on((uintptr_t)argument % 2 == 0 ? PAGE : 2 * PAGE, TAGPOOL_BUS_VIRTUAL);
    for (int i = 0; i < 500; i++) {
        tagpool_common_buffer_t *buffer = tagpool_common_buffer_alloc(&options);
        ck_assert_ptr_nonnull(buffer);
        uint64_t address = tagpool_common_buffer_bus_address(buffer);
        ck_assert_uint_lt(address, TP_IOVA_FIRST + 64 * PAGE); /* nothing is lost */
        memcpy(tagpool_common_buffer_address(buffer), &address, sizeof(address));
        ck_assert_int_eq(tagpool_common_buffer_flush(buffer), 0);
        ck_assert_int_eq(memcmp(tagpool_common_buffer_address(buffer), &address, sizeof(address)), 0);
        tagpool_common_buffer_free(buffer);
    }
    return NULL;
}

START_TEST(threads_have_buffers_of_their_own)
{
    enum { THREADS = 4 };
    pthread_t threads[THREADS];
    for (uintptr_t i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, take_and_give, (void *)i), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    check_nothing_left();
}
END_TEST

/* --- fork and failures ---------------------------------------------------------------------------------------- */

static void go_on_in_child(void *unused)
{
    (void)unused;
    fault_must(account().bytes == 8 * PAGE && account().frees == 0);
    for (int i = 0; i < 4; i++) {
        char *address = tagpool_common_buffer_address(buffers[i]);
        fault_must(address[0] == 0x5a);
        address[0] = 'c';
        fault_must(tagpool_common_buffer_flush(buffers[i]) >= 0);
        tagpool_common_buffer_free(buffers[i]);
    }
    fault_must_be_empty(TAGPOOL_NONPAGED, TAG);
    tagpool_common_buffer_options_t options = of_size_on(3 * PAGE, TAGPOOL_BUS_VIRTUAL);
    tagpool_common_buffer_t *buffer = tagpool_common_buffer_alloc(&options);
    fault_must(tagpool_common_buffer_bus_address(buffer) == TP_IOVA_FIRST);
    tagpool_common_buffer_free(buffer);
    fault_must_be_empty(TAGPOOL_NONPAGED, TAG);
}

START_TEST(a_child_has_copies_and_frees_them)
{
    buffers[0] = made(of_size(PAGE));
    buffers[1] = made(of_size(3 * PAGE));
    buffers[2] = made(of_size_on(PAGE, TAGPOOL_BUS_VIRTUAL));
    buffers[3] = made(of_size_on(3 * PAGE, TAGPOOL_BUS_VIRTUAL));
    struct child_result result = child_run(go_on_in_child, NULL);
    ck_assert_msg(child_succeeded(&result), "%s", result.text);
    ck_assert_uint_eq(account().bytes, 8 * PAGE);
    for (int i = 0; i < 4; i++) {
        ck_assert_int_eq(*(char *)tagpool_common_buffer_address(buffers[i]), 0x5a);
        tagpool_common_buffer_free(buffers[i]);
    }
    check_nothing_left();
}
END_TEST

static void try_each(const tagpool_common_buffer_options_t *options)
{
    errno = 0;
    tagpool_common_buffer_t *buffer = tagpool_common_buffer_alloc(options);
    if (buffer == NULL) {
        fault_must(errno == ENOMEM || errno == EMFILE);
        return;
    }
    int result = tagpool_common_buffer_flush(buffer);
    fault_must(result == 0 || (result == -1 && errno == EMFILE));
    tagpool_common_buffer_free(buffer);
}

/* Whatever fails: it is said, and nothing is lost. */
static void with_failures(void)
{
    const tagpool_common_buffer_options_t options[] = {
        of_size(100), of_size(3 * PAGE), of_size(TP_HUGE_PAGE + PAGE), of_size_on(3 * PAGE, TAGPOOL_BUS_VIRTUAL)};
    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
        try_each(&options[i]);
    fault_must_be_empty(TAGPOOL_NONPAGED, TAG);
    const tagpool_common_buffer_options_t again = of_size_on(3 * PAGE, TAGPOOL_BUS_VIRTUAL);
    tagpool_common_buffer_t *buffer = tagpool_common_buffer_alloc(&again);
    fault_must(tagpool_common_buffer_bus_address(buffer) == TP_IOVA_FIRST);
}

START_TEST(each_allocation_may_fail)
{
    fault_frames = fake_frames;
    ck_assert_uint_gt(fault_each(with_failures), 20);
}
END_TEST

UNIT_MAIN("common_buffer", wrong_options_are_einval, it_has_as_many_pages_as_it_needs,
          called_once_for_each_one_page_buffers_are_one_page_each, a_byte_behind_its_end_is_noticed,
          it_is_a_part_of_the_nonpaged_pool, coming_and_going_uses_nothing_up, many_at_once_leave_nothing,
          physical_addresses_are_those_of_the_system, up_to_a_huge_page_it_is_contiguous,
          of_a_huge_page_it_keeps_what_it_needs, scattered_memory_says_so,
          a_caller_may_insist_on_contiguous_memory, bounds_hold_for_each_page, it_tries_a_few_times_before_it_says_no,
          who_is_not_told_gets_virtual_addresses, a_user_without_privileges_gets_virtual_addresses,
          flush_tells_that_pages_have_moved, virtual_addresses_are_first_fit_within_bounds,
          threads_have_buffers_of_their_own, a_child_has_copies_and_frees_them, each_allocation_may_fail)
