/*
 * E1, and where the stacks of threads end.
 */
#include "unit.h"

#include "extent.h"
#include "os.h"

#include <alloca.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

enum { THREADS = 8, DEPTH = 40 };

static uintptr_t here(void)
{
    return (uintptr_t)__builtin_frame_address(0) & ~(uintptr_t)15;
}

START_TEST(what_can_be_read_is_what_the_kernel_reads)
{
    static const uintptr_t word = 1;
    char *pages = mmap(NULL, 3 * TP_OS_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ck_assert_int_eq(mprotect(pages + TP_OS_PAGE, TP_OS_PAGE, PROT_NONE), 0);
    ck_assert_int_eq(munmap(pages + 2 * TP_OS_PAGE, TP_OS_PAGE), 0);
    ck_assert(tp_os_is_readable((uintptr_t)&word));
    ck_assert(tp_os_is_readable((uintptr_t)pages));
    ck_assert(tp_os_is_readable((uintptr_t)pages + TP_OS_PAGE - sizeof(word)));
    ck_assert(!tp_os_is_readable((uintptr_t)pages + TP_OS_PAGE));
    ck_assert(!tp_os_is_readable((uintptr_t)pages + 2 * TP_OS_PAGE));
    ck_assert(!tp_os_is_readable(0));
    ck_assert(!tp_os_is_readable(UINTPTR_MAX - 7));
    ck_assert(!tp_os_is_readable(UINT64_C(1) << 63));
}
END_TEST

/* Where the system says that the first thread's stack ends. */
static uintptr_t end_of_first(void)
{
    char line[512];
    uintptr_t begin, end = 0;
    FILE *maps = fopen("/proc/self/maps", "r");
    ck_assert_ptr_nonnull(maps);
    while (end == 0 && fgets(line, sizeof(line), maps) != NULL)
        if (strstr(line, "[stack]") != NULL)
            ck_assert_int_eq(sscanf(line, "%lx-%lx", &begin, &end), 2);
    fclose(maps);
    return end;
}

START_TEST(the_first_thread_s_stack_ends_below_its_environment)
{
    struct tp_extent extent;
    tp_extent_open(&extent, here());
    ck_assert(extent.is_whole);
    ck_assert_uint_eq(extent.begin, here());
    ck_assert_uint_le(extent.end, end_of_first());
    ck_assert_uint_gt(extent.end, (uintptr_t)__builtin_frame_address(0));
    uintptr_t value;
    ck_assert(tp_extent_read(&extent, extent.begin, &value));
    ck_assert(tp_extent_read(&extent, extent.end - sizeof(value), &value));
    ck_assert(!tp_extent_read(&extent, extent.end, &value));
    ck_assert(!tp_extent_read(&extent, extent.begin - sizeof(value), &value));
    ck_assert(!tp_extent_read(&extent, extent.begin + 1, &value));
}
END_TEST

/* Each call is deeper than what was known by up to some pages. */
static __attribute__((noinline)) void go_down(unsigned depth, uintptr_t end)
{
    size_t size = depth % 5 * 4000 + 64;
    char *room = alloca(size);
    memset(room, 1, size);
    __asm__ volatile("" ::"r"(room) : "memory");
    struct tp_extent extent;
    tp_extent_open(&extent, here());
    ck_assert(extent.is_whole);
    ck_assert_uint_eq(extent.end, end);
    if (depth > 0)
        go_down(depth - 1, end);
    __asm__ volatile("" ::: "memory");
}

static void *check_thread(void *argument)
{
    pthread_attr_t attributes;
    void *base;
    size_t size;
    ck_assert_int_eq(pthread_getattr_np(pthread_self(), &attributes), 0);
    ck_assert_int_eq(pthread_attr_getstack(&attributes, &base, &size), 0);
    pthread_attr_destroy(&attributes);
    struct tp_extent extent;
    tp_extent_open(&extent, here());
    ck_assert(extent.is_whole);
    ck_assert_uint_le(extent.end, (uintptr_t)base + size);
    ck_assert_uint_gt(extent.end + 64 * TP_KIB, (uintptr_t)base + size);
    go_down(DEPTH, extent.end);
    return argument;
}

START_TEST(a_thread_s_stack_ends_at_its_own_block)
{
    pthread_t threads[THREADS];
    for (int round = 0; round < 4; round++) {
        for (int i = 0; i < THREADS; i++) {
            pthread_attr_t attributes;
            pthread_attr_init(&attributes);
            pthread_attr_setstacksize(&attributes, (size_t)(i + 2) * TP_MIB);
            ck_assert_int_eq(pthread_create(&threads[i], &attributes, check_thread, NULL), 0);
            pthread_attr_destroy(&attributes);
        }
        for (int i = 0; i < THREADS; i++)
            pthread_join(threads[i], NULL);
    }
}
END_TEST

START_TEST(another_stack_is_read_as_far_as_it_goes)
{
    char *pages = mmap(NULL, 4 * TP_OS_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ck_assert_int_eq(munmap(pages + 3 * TP_OS_PAGE, TP_OS_PAGE), 0);
    struct tp_extent extent;
    uintptr_t value, sp = (uintptr_t)pages + TP_OS_PAGE + 256;
    tp_extent_open(&extent, sp);
    ck_assert(!extent.is_whole);
    ck_assert(tp_extent_read(&extent, sp, &value));
    ck_assert(tp_extent_read(&extent, sp + TP_OS_PAGE, &value));
    ck_assert(!tp_extent_read(&extent, sp + 2 * TP_OS_PAGE, &value));
    ck_assert(tp_extent_read(&extent, sp + 8, &value));
    ck_assert(!tp_extent_read(&extent, (uintptr_t)pages, &value)); /* below the stack pointer */
    munmap(pages + TP_OS_PAGE, 2 * TP_OS_PAGE);
    tp_extent_open(&extent, sp); /* nothing was kept */
    ck_assert(!tp_extent_read(&extent, sp, &value));
}
END_TEST

UNIT_MAIN("extent", what_can_be_read_is_what_the_kernel_reads, the_first_thread_s_stack_ends_below_its_environment,
          a_thread_s_stack_ends_at_its_own_block, another_stack_is_read_as_far_as_it_goes)
