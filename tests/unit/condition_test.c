/*
 * Conditions by the pools' limits, by RLIMIT_MEMLOCK and, where a group can be made, by a control group.
 */
#include "child.h"
#include "unit.h"

#include <tagpool.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define TAG TAGPOOL_TAG('C', 'o', 'n', 'd')
enum { MIB = 1 << 20 };

/* The race detector takes several times the memory, and its own locks do not survive _Fork. */
#if defined(__SANITIZE_THREAD__)
enum { IS_PLAIN = 0 };
#else
enum { IS_PLAIN = 1 };
#endif

static void limit_pool(tagpool_kind_t kind, uint64_t hard)
{
    const tagpool_limit_t limit = {.hard = hard};
    ck_assert_int_eq(tagpool_limit_pool(kind, &limit), 0);
}

static bool is_readable(int fd)
{
    struct pollfd waited = {.fd = fd, .events = POLLIN};
    return poll(&waited, 1, 0) == 1;
}

static void must_be(tagpool_condition_t condition, int set)
{
    ck_assert_int_eq(tagpool_condition_is_set(condition), set);
}

START_TEST(unknown_conditions_are_einval)
{
    errno = 0;
    ck_assert_int_eq(tagpool_condition_is_set((tagpool_condition_t)6), -1);
    ck_assert_int_eq(errno, EINVAL);
    ck_assert_int_eq(tagpool_condition_fd((tagpool_condition_t)-1), -1);
    ck_assert_int_eq(tagpool_condition_wait((tagpool_condition_t)6, 0), -1);
}
END_TEST

START_TEST(a_pool_without_a_limit_is_high)
{
    must_be(TAGPOOL_LOW_PAGED, 0);
    must_be(TAGPOOL_HIGH_PAGED, 1);
    must_be(TAGPOOL_LOW_MEMORY, 0);
}
END_TEST

START_TEST(a_pool_goes_from_high_to_low_and_back)
{
    limit_pool(TAGPOOL_PAGED, 8 * MIB);
    int low = tagpool_condition_fd(TAGPOOL_LOW_PAGED), high = tagpool_condition_fd(TAGPOOL_HIGH_PAGED);
    ck_assert(low >= 0 && high >= 0 && !is_readable(low) && is_readable(high));
    ck_assert_int_eq(tagpool_condition_fd(TAGPOOL_LOW_PAGED), low);
    void *first = tagpool_alloc(TAGPOOL_PAGED, 5 * MIB + 4096, TAG);
    ck_assert_ptr_nonnull(first);
    must_be(TAGPOOL_LOW_PAGED, 0);
    must_be(TAGPOOL_HIGH_PAGED, 0);
    ck_assert(!is_readable(low) && !is_readable(high));
    void *second = tagpool_alloc(TAGPOOL_PAGED, 2 * MIB, TAG);
    ck_assert_ptr_nonnull(second);
    ck_assert_int_eq(tagpool_condition_wait(TAGPOOL_LOW_PAGED, 10000), 1);
    ck_assert_int_eq(tagpool_condition_wait(TAGPOOL_LOW_MEMORY, 10000), 1);
    must_be(TAGPOOL_LOW_MEMORY, 1);
    must_be(TAGPOOL_HIGH_MEMORY, 0);
    must_be(TAGPOOL_LOW_NONPAGED, 0);
    ck_assert_int_eq(tagpool_condition_wait(TAGPOOL_HIGH_PAGED, 250), 0);
    tagpool_free(first);
    tagpool_free(second);
    ck_assert_int_eq(tagpool_condition_wait(TAGPOOL_HIGH_PAGED, 10000), 1);
    must_be(TAGPOOL_LOW_PAGED, 0);
    ck_assert(!is_readable(low));
}
END_TEST

/* A thread sleeps until another one has used memory up. */
static void *wait_for_low(void *unused)
{
    (void)unused;
    return (void *)(intptr_t)tagpool_condition_wait(TAGPOOL_LOW_PAGED, 20000);
}

START_TEST(a_thread_is_woken)
{
    pthread_t thread;
    void *answer;
    limit_pool(TAGPOOL_PAGED, 2 * MIB);
    ck_assert_int_eq(pthread_create(&thread, NULL, wait_for_low, NULL), 0);
    usleep(300000);
    void *blocks[16];
    for (int i = 0; i < 15; i++)
        ck_assert_ptr_nonnull(blocks[i] = tagpool_alloc(TAGPOOL_PAGED, 128 << 10, TAG));
    pthread_join(thread, &answer);
    ck_assert_int_eq((int)(intptr_t)answer, 1);
    for (int i = 0; i < 15; i++)
        tagpool_free(blocks[i]);
}
END_TEST

START_TEST(the_nonpaged_pool_is_as_large_as_memlock)
{
    const struct rlimit limit = {8 * MIB, 8 * MIB};
    ck_assert_int_eq(setrlimit(RLIMIT_MEMLOCK, &limit), 0);
    must_be(TAGPOOL_HIGH_NONPAGED, 1);
    void *block = tagpool_alloc(TAGPOOL_NONPAGED, 7 * MIB + 65536, TAG);
    ck_assert_ptr_nonnull(block);
    must_be(TAGPOOL_LOW_NONPAGED, 1);
    must_be(TAGPOOL_HIGH_PAGED, 1);
    tagpool_free(block);
    must_be(TAGPOOL_HIGH_NONPAGED, 1);
}
END_TEST

static void child_has_its_own(void *unused)
{
    (void)unused;
    int parents = tagpool_condition_fd(TAGPOOL_LOW_PAGED); /* the number may be the same: the descriptor is not */
    limit_pool(TAGPOOL_PAGED, MIB);
    void *block = tagpool_alloc(TAGPOOL_PAGED, MIB - 4096, TAG);
    ck_assert_ptr_nonnull(block);
    ck_assert_int_eq(tagpool_condition_wait(TAGPOOL_LOW_PAGED, 10000), 1);
    ck_assert(is_readable(parents));
}

START_TEST(a_child_sets_none_of_its_parents)
{
    limit_pool(TAGPOOL_PAGED, 8 * MIB);
    int fd = tagpool_condition_fd(TAGPOOL_LOW_PAGED);
    struct child_result result = child_run(child_has_its_own, NULL);
    ck_assert_msg(child_succeeded(&result), "%s", result.text);
    usleep(300000);
    ck_assert(!is_readable(fd));
}
END_TEST

/* The lock of the one that watches must not be left held in a child, however that was made. */
START_TEST(children_go_on_whenever_they_are_made)
{
    limit_pool(TAGPOOL_PAGED, 8 * MIB);
    for (int i = 0; i < TAGPOOL_HIGH_NONPAGED; i++)
        ck_assert_int_ge(tagpool_condition_fd((tagpool_condition_t)i), 0);
    for (int i = 0; i < 40; i++) {
        pid_t child = i % 2 == 0 || !IS_PLAIN ? fork() : _Fork();
        if (child == 0)
            _exit(tagpool_condition_is_set(TAGPOOL_LOW_PAGED));
        int status;
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        ck_assert_int_eq(status, 0);
        usleep(2000);
    }
}
END_TEST

/* --- a real control group ------------------------------------------------------------------------------------- */

#define GROUP "/sys/fs/cgroup/memory/tagpool-condition-test"

static bool group_write(const char *name, const char *text)
{
    char path[128];
    snprintf(path, sizeof(path), GROUP "/%s", name);
    int fd = open(path, O_WRONLY);
    bool written = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    close(fd);
    return written;
}

static void fill_group(void *unused)
{
    (void)unused;
    char number[16];
    snprintf(number, sizeof(number), "%d", (int)getpid());
    ck_assert(group_write("cgroup.procs", number));
    must_be(TAGPOOL_LOW_MEMORY, 0);
    char *block = tagpool_alloc(TAGPOOL_PAGED, 92 * MIB, TAG);
    ck_assert_ptr_nonnull(block);
    must_be(TAGPOOL_LOW_MEMORY, 0);
    memset(block, 1, 92 * MIB);
    must_be(TAGPOOL_LOW_MEMORY, 1);
    must_be(TAGPOOL_HIGH_MEMORY, 0);
    must_be(TAGPOOL_LOW_PAGED, 0);
    tagpool_free(block);
}

START_TEST(the_control_group_counts_where_one_can_be_made)
{
    if (!IS_PLAIN || mkdir(GROUP, 0700) != 0 || !group_write("memory.limit_in_bytes", "104857600")) {
        printf("no control group can be made here: not tried\n");
        rmdir(GROUP);
        return;
    }
    struct child_result result = child_run(fill_group, NULL);
    rmdir(GROUP);
    ck_assert_msg(child_succeeded(&result), "%s", result.text);
}
END_TEST

UNIT_MAIN("condition", unknown_conditions_are_einval, a_pool_without_a_limit_is_high,
          a_pool_goes_from_high_to_low_and_back, a_thread_is_woken, the_nonpaged_pool_is_as_large_as_memlock,
          a_child_sets_none_of_its_parents, children_go_on_whenever_they_are_made,
          the_control_group_counts_where_one_can_be_made)
