/*
 * Guards of each kind that the system has: where they are, what is open between them, what they cost in mappings, and
 * what is left of them after fork, mlockall and the loss of the descriptor.
 */
#include "unit.h"

#include "child.h"
#include "fault.h"
#include "guard.h"
#include "os.h"
#include "rss.h"
#include "touch.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE TP_OS_PAGE
/* The call that fails: that of the system, not the first one, which is the module's own. */
enum { INNER = 2 };
enum { RUNS = 10000, ROUNDS = 10000, STEP_PAGES = 64, RANGES = 16 };

/* --- helpers -------------------------------------------------------------------------------------------------- */

/* One test a kind; a kind that the system lacks has nothing to be tested. */
#define EACH_KIND(body)                                                                                                \
    START_TEST(body##_madvise)                                                                                         \
    {                                                                                                                  \
        if (begin(TP_GUARD_MADVISE))                                                                                   \
            body();                                                                                                    \
    }                                                                                                                  \
    END_TEST                                                                                                           \
    START_TEST(body##_userfault)                                                                                       \
    {                                                                                                                  \
        if (begin(TP_GUARD_USERFAULT))                                                                                 \
            body();                                                                                                    \
    }                                                                                                                  \
    END_TEST                                                                                                           \
    START_TEST(body##_protect)                                                                                         \
    {                                                                                                                  \
        if (begin(TP_GUARD_PROTECT))                                                                                   \
            body();                                                                                                    \
    }                                                                                                                  \
    END_TEST

#define KINDS(body) body##_madvise, body##_userfault, body##_protect

static int guard_signal; /* what a touch of a guard is */
static char *space;
static size_t mappings_before; /* with the space reserved, and nothing prepared */

static void must_be_guard(char *at)
{
    ck_assert_int_eq(touch(at, false), guard_signal);
    ck_assert_int_eq(touch(at, true), guard_signal);
}

static bool is_all(char value, const char *at, size_t size)
{
    while (size > 0 && at[size - 1] == value)
        size--;
    return size == 0;
}

static void must_be_zero(const char *at, size_t size)
{
    ck_assert(is_all(0, at, size));
}

static void must_open(char *at, size_t pages)
{
    ck_assert_int_eq(tp_guard_open(at, pages * PAGE), 0);
}

static void must_close(char *at, size_t pages)
{
    ck_assert_int_eq(tp_guard_close(at, pages * PAGE), 0);
}

static size_t mappings(void)
{
    size_t lines = 0;
    char text[4096];
    int fd = open("/proc/self/maps", O_RDONLY);
    for (ssize_t n; (n = read(fd, text, sizeof(text))) > 0;)
        for (ssize_t i = 0; i < n; i++)
            lines += text[i] == '\n';
    close(fd);
    return lines;
}

/* Asked by the test itself: what the module says it cannot do must be beyond the system. */
static bool system_has(enum tp_guard_kind kind)
{
    char *own = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int fd = -1;
    if (kind == TP_GUARD_MADVISE)
        return madvise(own, PAGE, 102) == 0 && touch(own, false) == SIGSEGV;
    if (kind == TP_GUARD_USERFAULT && (fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | 1)) >= 0)
        close(fd);
    return kind == TP_GUARD_PROTECT || fd >= 0;
}

static bool begin(enum tp_guard_kind kind)
{
    touch_catch();
    if (!system_has(kind)) {
        printf("the system has no guards of kind %d\n", (int)kind);
        ck_assert_int_lt(tp_guard_init(kind), 0);
        return false;
    }
    ck_assert_int_eq(tp_guard_init(kind), 0);
    ck_assert_int_eq(tp_guard_kind(), kind);
    guard_signal = kind == TP_GUARD_USERFAULT ? SIGBUS : SIGSEGV;
    return true;
}

/* Space for so many pages and as many more; the first of them prepared, in steps as a pool would. */
static void have_pages(size_t pages)
{
    space = tp_os_reserve(2 * pages * PAGE);
    ck_assert_ptr_nonnull(space);
    mappings_before = mappings();
    for (size_t at = 0; at < pages; at += STEP_PAGES)
        ck_assert_int_eq(tp_guard_prepare(space + at * PAGE, tp_min(STEP_PAGES, pages - at) * PAGE), 0);
}

static char *page(size_t number)
{
    return space + number * PAGE;
}

/* --- what is a guard, and what is open ------------------------------------------------------------------------ */

static void guards_lie_around_what_is_open(void)
{
    have_pages(2 * STEP_PAGES);
    must_open(page(62), 4); /* over the end of the first step */
    must_be_guard(page(0));
    must_be_guard(page(62) - 1);
    must_be_guard(page(66));
    must_be_guard(page(2 * STEP_PAGES) - 1);
    ck_assert_int_eq(touch(page(2 * STEP_PAGES), false), SIGSEGV); /* still reserved */
    ck_assert_int_eq(touch(page(62), true), 0);
    ck_assert_int_eq(touch(page(66) - 1, true), 0);
    must_be_zero(page(63), 2 * PAGE);
    must_close(page(62), 4);
    for (int i = 61; i <= 66; i++)
        must_be_guard(page(i) + i);
}
EACH_KIND(guards_lie_around_what_is_open)

/* Each length by its own way of filling, over memory that was used before. */
static void what_was_closed_reads_as_zero(void)
{
    static const size_t lengths[] = {1, 2, 16, 17, 60};
    have_pages(STEP_PAGES);
    for (int round = 0; round < 2; round++)
        for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
            errno = 77;
            must_open(page(2), lengths[i]);
            must_be_zero(page(2), lengths[i] * PAGE);
            memset(page(2), 0xa5, lengths[i] * PAGE);
            must_be_guard(page(2) - 1);
            must_be_guard(page(2 + lengths[i]));
            must_close(page(2), lengths[i]);
            ck_assert_int_eq(errno, 77);
            must_be_guard(page(2));
        }
}
EACH_KIND(what_was_closed_reads_as_zero)

static void memory_goes_back(void)
{
    enum { PAGES = 4096 };
    have_pages(PAGES);
    size_t before = rss_bytes();
    for (int i = 0; i < PAGES; i += 4)
        must_open(page(i), 3);
    for (int i = 0; i < PAGES; i += 4)
        memset(page(i), 1, 3 * PAGE);
    ck_assert_uint_ge(rss_bytes(), before + 10 * TP_MIB);
    for (int i = 0; i < PAGES; i += 4)
        must_close(page(i), 3);
    ck_assert_uint_le(rss_bytes(), before + 4 * TP_MIB);
}
EACH_KIND(memory_goes_back)

/* No signal tells of it. */
static void the_system_gets_efault(void)
{
    int ends[2];
    have_pages(STEP_PAGES);
    ck_assert_int_eq(pipe(ends), 0);
    must_open(page(1), 1);
    ck_assert_int_eq(write(ends[1], page(1), PAGE), (ssize_t)PAGE);
    ck_assert_int_eq(read(ends[0], page(1), PAGE), (ssize_t)PAGE);
    ck_assert_int_eq(write(ends[1], page(2), 1), -1);
    ck_assert_int_eq(errno, EFAULT);
    must_be_guard(page(2));
}
EACH_KIND(the_system_gets_efault)

static long faults(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_minflt;
}

/* Zero pages would be one fault each. */
START_TEST(userfault_fills_without_faults)
{
    if (!begin(TP_GUARD_USERFAULT))
        return;
    have_pages(16 * STEP_PAGES);
    must_open(page(0), 16); /* what is copied from is read for the first time */
    long before = faults();
    for (int i = 1; i < STEP_PAGES; i++) {
        must_open(page(16 * i), 8);
        memset(page(16 * i), 1, 8 * PAGE);
    }
    ck_assert_int_le(faults(), before + 16);
}
END_TEST

/* --- mappings ------------------------------------------------------------------------------------------------- */

static void many_runs_are_few_mappings(void)
{
    have_pages(3 * RUNS);
    for (int i = 0; i < RUNS; i++) {
        must_open(page(3 * i + 1), 1);
        *page(3 * i + 1) = 1;
    }
    ck_assert_uint_le(mappings(), mappings_before + 2);
    for (int i = 0; i < RUNS; i += 2)
        must_close(page(3 * i + 1), 1);
    ck_assert_uint_le(mappings(), mappings_before + 2);
    for (int i = 0; i < RUNS; i++)
        must_be_guard(page(3 * i));
    for (int i = 1; i < RUNS; i += 2)
        ck_assert_int_eq(*page(3 * i + 1), 1);
}

START_TEST(many_runs_are_few_mappings_madvise)
{
    if (begin(TP_GUARD_MADVISE))
        many_runs_are_few_mappings();
}
END_TEST

START_TEST(many_runs_are_few_mappings_userfault)
{
    if (begin(TP_GUARD_USERFAULT))
        many_runs_are_few_mappings();
}
END_TEST

static size_t most_mappings(void)
{
    size_t most = 65530;
    FILE *file = fopen("/proc/sys/vm/max_map_count", "r");
    if (file != NULL) {
        ck_assert_int_eq(fscanf(file, "%zu", &most), 1);
        fclose(file);
    }
    return most;
}

/* Every second page from the first on, until it is refused: how many there were. */
static size_t open_all(size_t most)
{
    size_t opened = 0;
    int error = 0;
    while (opened <= most && (error = tp_guard_open(page(2 * opened + 1), PAGE)) == 0) {
        *page(2 * opened + 1) = 1;
        opened++;
    }
    ck_assert_int_eq(error, -ENOMEM);
    must_be_guard(page(2 * opened + 1));
    return opened;
}

START_TEST(protect_takes_a_quarter_of_the_mappings)
{
    size_t most = most_mappings();
    ck_assert(begin(TP_GUARD_PROTECT));
    have_pages(most);
    for (int round = 0; round < 3; round++) {
        size_t opened = open_all(most);
        ck_assert_uint_eq(opened, most / 4 / 2);
        ck_assert_uint_le(mappings(), mappings_before + most / 4);
        for (size_t i = 0; i < opened; i += 2)
            must_close(page(2 * i + 1), 1);
        must_open(page(1), 1);
        must_close(page(1), 1);
        for (size_t i = 1; i < opened; i += 2)
            must_close(page(2 * i + 1), 1);
        ck_assert_uint_le(mappings(), mappings_before + 1);
    }
}
END_TEST

START_TEST(what_the_system_refuses_is_not_counted)
{
    ck_assert(begin(TP_GUARD_PROTECT));
    have_pages(STEP_PAGES);
    for (size_t i = 0; i < most_mappings(); i++) {
        fault_at(INNER);
        ck_assert_int_lt(tp_guard_open(page(1), PAGE), 0);
    }
    fault_at(0);
    must_be_guard(page(1));
    must_open(page(1), 1);
}
END_TEST

/* --- what is prepared ----------------------------------------------------------------------------------------- */

static void what_cannot_be_prepared_stays_inaccessible(void)
{
    have_pages(STEP_PAGES);
    if (tp_guard_kind() != TP_GUARD_PROTECT) {
        fault_at(INNER);
        ck_assert_int_lt(tp_guard_prepare(page(STEP_PAGES), PAGE), 0);
        fault_at(0);
    }
    ck_assert_int_eq(touch(page(STEP_PAGES), true), SIGSEGV);
    ck_assert_int_eq(tp_guard_prepare(page(STEP_PAGES), PAGE), 0);
    must_be_guard(page(STEP_PAGES));
    must_open(page(STEP_PAGES - 1), 2);
    memset(page(STEP_PAGES - 1), 1, 2 * PAGE);
}
EACH_KIND(what_cannot_be_prepared_stays_inaccessible)

static void other_reservations_may_follow(void)
{
    char *spaces[RANGES + 1];
    for (int i = 0; i < RANGES; i++) {
        have_pages(2);
        spaces[i] = space;
        must_open(page(1), 1);
    }
    spaces[RANGES] = tp_os_reserve(3 * PAGE);
    ck_assert_int_eq(tp_guard_prepare(spaces[RANGES] + PAGE, PAGE), -ENOMEM);
    ck_assert_int_eq(touch(spaces[RANGES] + PAGE, true), SIGSEGV);
    for (int i = 0; i < RANGES; i++) {
        ck_assert_int_eq(tp_guard_prepare(spaces[i] + 2 * PAGE, PAGE), 0);
        must_be_guard(spaces[i]);
        must_be_guard(spaces[i] + 2 * PAGE);
        *(spaces[i] + PAGE) = 1;
    }
}
EACH_KIND(other_reservations_may_follow)

/* --- threads -------------------------------------------------------------------------------------------------- */

/* The checks of the test library are for its own thread.  What did not hold, or NULL. */
static void *open_and_close(void *argument)
{
    char *mine = argument;
    for (int i = 0; i < ROUNDS; i++) {
        size_t size = (1 + (size_t)i % 2) * PAGE;
        char *run = mine + 2 * ((size_t)i % 8) * PAGE;
        if (tp_guard_open(run, size) != 0)
            return "a run was not opened";
        if (!is_all(0, run, size))
            return "a run was not zero";
        memset(run, i | 1, size);
        if (tp_guard_close(run, size) != 0)
            return "a run was not closed";
        if (i % 64 == 0 && touch(run, false) != guard_signal)
            return "a run was no guard again";
    }
    return NULL;
}

static void two_threads_do_not_meet(void)
{
    pthread_t threads[2];
    have_pages(STEP_PAGES);
    must_open(page(30), 1);
    memset(page(30), 7, PAGE);
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, open_and_close, page(i * 31)), 0);
    for (int i = 0; i < 2; i++) {
        void *wrong = NULL;
        pthread_join(threads[i], &wrong);
        ck_assert_msg(wrong == NULL, "%s", (const char *)wrong);
    }
    ck_assert(is_all(7, page(30), PAGE));
    for (int i = 0; i < STEP_PAGES; i++)
        if (i != 30)
            must_be_guard(page(i));
}
EACH_KIND(two_threads_do_not_meet)

/* --- fork ----------------------------------------------------------------------------------------------------- */

/* In the child: what does not hold is said and ends it (fault_must). */
static void use_in_child(void *argument)
{
    (void)argument;
    fault_must(tp_guard_adopt() == 0);
    fault_must(touch(page(1), false) == guard_signal);
    fault_must(touch(page(2), false) == 0 && page(2)[5] == 5);
    fault_must(touch(page(3), true) == guard_signal);
    fault_must(tp_guard_open(page(4), 2 * PAGE) == 0);
    fault_must(page(4)[0] == 0 && touch(page(6) - 1, true) == 0);
    fault_must(tp_guard_close(page(2), PAGE) == 0);
    fault_must(touch(page(2), false) == guard_signal);
    fault_must(tp_guard_prepare(page(STEP_PAGES), PAGE) == 0);
    fault_must(touch(page(STEP_PAGES), true) == guard_signal);
    fault_must(tp_guard_open(page(STEP_PAGES), PAGE) == 0);
    fault_must(touch(page(STEP_PAGES), true) == 0);
}

static void a_child_has_guards_of_its_own(void)
{
    have_pages(STEP_PAGES);
    must_open(page(2), 1);
    page(2)[5] = 5;
    struct child_result result = child_run(use_in_child, NULL);
    ck_assert_msg(child_succeeded(&result), "%s", result.text);
    must_be_guard(page(4)); /* was opened there */
    ck_assert_int_eq(page(2)[5], 5);
    must_open(page(4), 1);
    ck_assert_int_eq(touch(page(STEP_PAGES), true), SIGSEGV);
}
EACH_KIND(a_child_has_guards_of_its_own)

static void die_by_touch(void *argument)
{
    signal(SIGSEGV, SIG_DFL);
    signal(SIGBUS, SIG_DFL);
    if (tp_guard_adopt() == 0)
        *(volatile char *)argument = 1;
}

static void a_child_dies_by_the_signal(void)
{
    have_pages(STEP_PAGES);
    must_open(page(2), 1);
    struct child_result result = child_run(die_by_touch, page(3));
    ck_assert(WIFSIGNALED(result.status));
    ck_assert_int_eq(WTERMSIG(result.status), guard_signal);
}
EACH_KIND(a_child_dies_by_the_signal)

static void child_of_child(void *argument)
{
    use_in_child(argument);
    struct child_result result = child_run(die_by_touch, page(3));
    fault_must(WIFSIGNALED(result.status) && WTERMSIG(result.status) == guard_signal);
}

static void so_has_a_child_of_a_child(void)
{
    have_pages(STEP_PAGES);
    must_open(page(2), 1);
    page(2)[5] = 5;
    struct child_result result = child_run(child_of_child, NULL);
    ck_assert_msg(child_succeeded(&result), "%s", result.text);
}
EACH_KIND(so_has_a_child_of_a_child)

/* --- mlockall ------------------------------------------------------------------------------------------------- */

static void locking_everything_spares_guards(void)
{
    have_pages(16 * STEP_PAGES);
    must_open(page(2), 2);
    must_open(page(8), 1);
    if (mlockall(MCL_CURRENT) != 0)
        return;
    must_be_guard(page(1));
    for (int i = 0; i < 2; i++) {
        memset(page(2), 1, 2 * PAGE);
        must_close(page(2), 2);
        must_be_guard(page(2));
        must_open(page(2), 2);
        must_be_zero(page(2), 2 * PAGE);
    }
    ck_assert_int_eq(tp_guard_prepare(page(16 * STEP_PAGES), PAGE), 0);
    must_be_guard(page(16 * STEP_PAGES));
    must_close(page(8), 1);
    must_be_guard(page(8));
    munlockall();
}
EACH_KIND(locking_everything_spares_guards)

static void so_does_locking_what_is_to_come(void)
{
    if (mlockall(MCL_FUTURE) != 0)
        return;
    size_t before = rss_bytes();
    have_pages(64 * STEP_PAGES);
    ck_assert_uint_le(rss_bytes(), before + 4 * TP_MIB);
    must_open(page(2), 2);
    memset(page(2), 1, 2 * PAGE);
    must_close(page(2), 2);
    must_be_guard(page(2));
    must_open(page(2), 2);
    must_be_zero(page(2), 2 * PAGE);
    munlockall();
}
EACH_KIND(so_does_locking_what_is_to_come)

/* --- the descriptor ------------------------------------------------------------------------------------------- */

/* How many descriptors of userfaultfd there are, and the last of them. */
static int userfaults(int *last)
{
    int count = 0;
    char target[64];
    DIR *fds = opendir("/proc/self/fd");
    for (struct dirent *entry; (entry = readdir(fds)) != NULL;) {
        ssize_t length = readlinkat(dirfd(fds), entry->d_name, target, sizeof(target) - 1);
        target[length > 0 ? length : 0] = '\0';
        if (strstr(target, "[userfaultfd]") == NULL)
            continue;
        *last = atoi(entry->d_name);
        count++;
    }
    closedir(fds);
    return count;
}

static void descriptors_in_child(void *argument)
{
    int fd = -1;
    (void)argument;
    fault_must(tp_guard_adopt() == 0);
    fault_must(userfaults(&fd) == 1);
}

START_TEST(the_descriptor_is_high_and_only_one)
{
    int fd = -1;
    if (!begin(TP_GUARD_USERFAULT))
        return;
    have_pages(STEP_PAGES);
    ck_assert_int_eq(userfaults(&fd), 1);
    ck_assert_int_ge(fd, 900);
    ck_assert_int_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
    struct child_result result = child_run(descriptors_in_child, NULL);
    ck_assert_msg(child_succeeded(&result), "%s", result.text);
}
END_TEST

START_TEST(it_works_with_few_descriptors)
{
    struct rlimit limit = {64, 64};
    int fd = -1;
    setrlimit(RLIMIT_NOFILE, &limit);
    if (!begin(TP_GUARD_USERFAULT))
        return;
    ck_assert_int_eq(userfaults(&fd), 1);
    ck_assert_int_gt(fd, STDERR_FILENO);
    have_pages(STEP_PAGES);
    must_open(page(1), 1);
    must_be_guard(page(2));
}
END_TEST

static void adopt_without_descriptors(void *argument)
{
    struct rlimit few = {3, 64};
    struct rlimit many = {64, 64};
    (void)argument;
    setrlimit(RLIMIT_NOFILE, &few);
    fault_must(tp_guard_adopt() == -EMFILE);
    fault_must(tp_guard_open(page(4), PAGE) < 0);
    fault_must(touch(page(5), true) == 0); /* W1 is broken, as was said */
    setrlimit(RLIMIT_NOFILE, &many);
    fault_must(tp_guard_open(page(4), PAGE) == 0);
    fault_must(touch(page(6), true) == guard_signal);
    fault_must(tp_guard_open(page(5), PAGE) == 0 && page(5)[0] == 0);
}

START_TEST(a_child_without_one_gets_it_later)
{
    if (!begin(TP_GUARD_USERFAULT))
        return;
    have_pages(STEP_PAGES);
    struct child_result result = child_run(adopt_without_descriptors, NULL);
    ck_assert_msg(child_succeeded(&result), "%s", result.text);
}
END_TEST

/* After the program has closed it: the number means nothing, or something else. */
static void lose_descriptor(int put_there)
{
    int fd = -1;
    have_pages(STEP_PAGES);
    must_open(page(2), 1);
    memset(page(2), 2, PAGE);
    ck_assert_int_eq(userfaults(&fd), 1);
    close(fd);
    if (put_there >= 0)
        ck_assert_int_eq(dup2(put_there, fd), fd);
    page(8)[0] = 8; /* nobody stops this */
    must_open(page(7), 3);
    must_be_zero(page(7), 3 * PAGE);
    ck_assert_int_eq(page(2)[100], 2);
    must_open(page(5), 1);
    must_be_guard(page(4));
    must_be_guard(page(6));
    if (put_there >= 0)
        ck_assert_int_ne(fcntl(fd, F_GETFD), -1);
    ck_assert_int_eq(tp_guard_prepare(page(STEP_PAGES), PAGE), 0);
    ck_assert_uint_le(mappings(), mappings_before + 2);
    struct child_result result = child_run(die_by_touch, page(6));
    ck_assert(WIFSIGNALED(result.status) && WTERMSIG(result.status) == guard_signal);
}

START_TEST(a_closed_descriptor_is_noticed)
{
    if (begin(TP_GUARD_USERFAULT))
        lose_descriptor(-1);
}
END_TEST

START_TEST(so_is_one_that_means_something_else)
{
    if (begin(TP_GUARD_USERFAULT))
        lose_descriptor(open("/dev/null", O_RDWR));
}
END_TEST

START_TEST(space_can_be_prepared_after_it_was_lost)
{
    int fd = -1;
    if (!begin(TP_GUARD_USERFAULT))
        return;
    have_pages(STEP_PAGES);
    ck_assert_int_eq(userfaults(&fd), 1);
    close(fd);
    ck_assert_int_eq(tp_guard_prepare(page(STEP_PAGES), PAGE), 0);
    must_be_guard(page(STEP_PAGES - 1));
    must_be_guard(page(STEP_PAGES));
}
END_TEST

/* Memory stays registered until the last holder of the descriptor has closed it. */
START_TEST(a_child_that_holds_it_has_guards_stay)
{
    int fd = -1;
    if (!begin(TP_GUARD_USERFAULT))
        return;
    have_pages(STEP_PAGES);
    pid_t child = fork();
    if (child == 0)
        for (;;)
            pause();
    ck_assert_int_eq(userfaults(&fd), 1);
    close(fd);
    ck_assert_int_lt(tp_guard_open(page(1), PAGE), 0);
    must_be_guard(page(1));
    kill(child, SIGKILL);
    ck_assert_int_eq(waitpid(child, NULL, 0), child);
    must_open(page(1), 1);
    must_be_guard(page(2));
}
END_TEST

static void *lose_it_again_and_again(void *argument)
{
    for (int i = 0; i < 200; i++) {
        int fd = -1;
        if (userfaults(&fd) == 1)
            close(fd);
    }
    return argument;
}

/* Fewer rounds than without: each loss is a registration of all there is. */
START_TEST(threads_notice_it_at_the_same_time)
{
    pthread_t threads[3];
    if (!begin(TP_GUARD_USERFAULT))
        return;
    have_pages(STEP_PAGES);
    pthread_create(&threads[2], NULL, lose_it_again_and_again, NULL);
    for (int i = 0; i < ROUNDS; i++) {
        int error = tp_guard_open(page(1), PAGE);
        ck_assert_msg(error == 0 || error == -EBADF, "%d", error); /* lost between two tries */
        if (error == 0)
            must_close(page(1), 1);
    }
    pthread_join(threads[2], NULL);
    must_open(page(1), 1);
    must_be_guard(page(2));
}
END_TEST

/* --- the choice ----------------------------------------------------------------------------------------------- */

START_TEST(the_best_kind_is_taken)
{
    ck_assert_int_eq(tp_guard_kind(), TP_GUARD_NONE);
    ck_assert_int_eq(tp_guard_adopt(), 0);
    ck_assert_int_eq(tp_guard_init((enum tp_guard_kind)(TP_GUARD_PROTECT + 1)), -EINVAL);
    ck_assert_int_eq(tp_guard_kind(), TP_GUARD_NONE);
    int first = TP_GUARD_MADVISE;
    for (int kind = TP_GUARD_PROTECT; kind >= TP_GUARD_MADVISE; kind--)
        if (tp_guard_init((enum tp_guard_kind)kind) == 0)
            first = kind;
    ck_assert_int_eq(tp_guard_init(TP_GUARD_NONE), 0);
    ck_assert_int_eq(tp_guard_kind(), first);
}
END_TEST

static void guard_as_nobody(void *argument)
{
    int kind = *(int *)argument;
    fault_must(setresuid(65534, 65534, 65534) == 0);
    fault_must(tp_guard_init((enum tp_guard_kind)kind) == 0);
    have_pages(STEP_PAGES);
    fault_must(tp_guard_open(page(1), PAGE) == 0);
    fault_must(touch(page(1), true) == 0);
    fault_must(touch(page(2), true) == (kind == TP_GUARD_USERFAULT ? SIGBUS : SIGSEGV));
}

START_TEST(none_needs_a_privilege)
{
    touch_catch();
    for (int kind = TP_GUARD_MADVISE; geteuid() == 0 && kind <= TP_GUARD_PROTECT; kind++) {
        struct child_result result = child_run(guard_as_nobody, &kind);
        ck_assert_msg(!system_has((enum tp_guard_kind)kind) || child_succeeded(&result), "%s", result.text);
    }
}
END_TEST

UNIT_MAIN("guard", KINDS(guards_lie_around_what_is_open), KINDS(what_was_closed_reads_as_zero), KINDS(memory_goes_back),
          KINDS(the_system_gets_efault), userfault_fills_without_faults, many_runs_are_few_mappings_madvise,
          many_runs_are_few_mappings_userfault, protect_takes_a_quarter_of_the_mappings,
          what_the_system_refuses_is_not_counted, KINDS(what_cannot_be_prepared_stays_inaccessible),
          KINDS(other_reservations_may_follow), KINDS(two_threads_do_not_meet), KINDS(a_child_has_guards_of_its_own),
          KINDS(a_child_dies_by_the_signal), KINDS(so_has_a_child_of_a_child), KINDS(locking_everything_spares_guards),
          KINDS(so_does_locking_what_is_to_come), the_descriptor_is_high_and_only_one, it_works_with_few_descriptors,
          a_child_without_one_gets_it_later, a_closed_descriptor_is_noticed, so_is_one_that_means_something_else,
          space_can_be_prepared_after_it_was_lost, a_child_that_holds_it_has_guards_stay,
          threads_notice_it_at_the_same_time, the_best_kind_is_taken, none_needs_a_privilege)
