/*
 * B1 and the life of a pool: its ring and descriptor, threads that share it, forked children, and whatever fails.
 */
#include "fault.h"
#include "iobuf_ways.h"
#include "unit.h"
#include "uring.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* --- the ring's descriptor ------------------------------------------------------------------------------------ */

START_TEST(pools_come_and_go_and_leave_no_descriptor)
{
    int before = dup(0);
    for (int i = 0; i < 200; i++) {
        create();
        destroy();
    }
    int after = dup(0);
    ck_assert_int_eq(after, before + 1);
}
END_TEST

/* Of the only ring of this process; -1: there is none. */
static int ring_descriptor(void)
{
    char path[64], target[64];
    int found = -1;
    DIR *directory = opendir("/proc/self/fd");
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        snprintf(path, sizeof(path), "/proc/self/fd/%.20s", entry->d_name);
        ssize_t length = readlink(path, target, sizeof(target) - 1);
        target[length > 0 ? length : 0] = '\0';
        if (strcmp(target, "anon_inode:[io_uring]") == 0)
            found = atoi(entry->d_name);
    }
    closedir(directory);
    return found;
}

static bool ring_is_there(void)
{
    if (stats().uring_error == 0) {
        ck_assert_int_ge(ring_descriptor(), 0);
        return true;
    }
    printf("iobuf: no io_uring here: %s\n", strerror(stats().uring_error));
    ck_assert_int_eq(ring_descriptor(), -1);
    return false;
}

/* A program that closes all descriptors, and opens others: the pool goes on, and leaves those alone. */
static void lose_ring(bool before_use)
{
    struct stat kept, found;
    create();
    file = open_file(0);
    if (ring_is_there()) {
        int number = ring_descriptor();
        ck_assert_int_eq(dup2(file, number), number);
        if (before_use) {
            make_file(MOST);
            copy_there_and_back(MOST, 0);
            ck_assert_int_ne(stats().uring_error, 0);
        }
        destroy();
        ck_assert_int_eq(fstat(file, &kept), 0);
        ck_assert_int_eq(fstat(number, &found), 0);
        ck_assert(kept.st_dev == found.st_dev && kept.st_ino == found.st_ino);
        close(number);
    } else {
        destroy();
    }
    close(file);
}

START_TEST(a_closed_ring_is_done_without)
{
    lose_ring(true);
    lose_ring(false);
}
END_TEST

/* Of each piece only what is left is asked for, whatever it left behind at an earlier try. */
START_TEST(a_ring_goes_on_from_where_a_piece_is)
{
    static char buffers[3][SIZE] __attribute__((aligned(4096)));
    struct iovec vectors[3];
    struct tp_transfer transfers[3];
    struct tp_uring uring = {0};
    for (unsigned i = 0; i < 3; i++) {
        vectors[i] = (struct iovec){buffers[i], SIZE};
        transfers[i] = (struct tp_transfer){.address = buffers[i], .size = SIZE, .offset = i * SIZE, .buffer = i};
    }
    create();
    file = open_file(0);
    make_file(MOST);
    destroy();
    int error = tp_uring_open(&uring, vectors, 3);
    if (error != 0) {
        printf("iobuf: no io_uring here: %s\n", strerror(-error));
        return;
    }
    struct tp_request request = {.fd = file, .count = 3, .transfers = transfers};
    transfers[0].done = 1000;
    transfers[1].done = SIZE;
    transfers[1].is_over = true;
    ck_assert_int_eq(tp_uring_run(&uring, &request), 0);
    ck_assert(tp_transfer_is_finished(&request));
    ck_assert_int_eq(buffers[0][999] | buffers[1][0] | buffers[1][SIZE - 1], 0);
    check_filled(&buffers[0][1000], SIZE - 1000, 1000);
    check_filled(buffers[2], SIZE, 2 * SIZE);
    tp_uring_close(&uring);
    close(file);
}
END_TEST

START_TEST(exec_closes_the_ring)
{
    create();
    if (ring_is_there())
        ck_assert_int_ne(fcntl(ring_descriptor(), F_GETFD) & FD_CLOEXEC, 0);
    destroy();
}
END_TEST

/* --- threads -------------------------------------------------------------------------------------------------- */

enum { THREADS = 4, ROUNDS = 100, SECONDS = 3 };

/* Each has its own part of the file, and now and then a buffer in hand. */
static void *copy_in_thread(void *argument)
{
    const uint64_t offset = (uint64_t)(uintptr_t)argument * 2 * POOL;
    const size_t size = POOL + SIZE;
    char *mine = malloc(size);
    for (int i = 0; i < ROUNDS; i++) {
        void *buffer = tagpool_iobuf_get(pool);
        fill(mine, size, offset);
        ck_assert_int_eq(tagpool_iobuf_write(pool, file, mine, size, offset), (ssize_t)size);
        memset(mine, 0, size);
        ck_assert_int_eq(tagpool_iobuf_put(pool, buffer), 0);
        ck_assert_int_eq(tagpool_iobuf_read(pool, file, mine, size, offset), (ssize_t)size);
        for (size_t at = 0; at < size; at += 512)
            ck_assert_int_eq(mine[at], byte_at(offset + at));
    }
    free(mine);
    return NULL;
}

static void run_threads(void *(*job)(void *))
{
    pthread_t threads[THREADS];
    for (uintptr_t i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, job, (void *)i), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    ck_assert_uint_eq(stats().out, 0);
}

static void check_threads(void)
{
    run_threads(copy_in_thread);
    ck_assert_uint_eq(stats().requests, 2 * THREADS * ROUNDS);
}

START_TEST(threads_take_turns)
{
    each_way(check_threads);
}
END_TEST

static volatile uintptr_t *get_marked(uintptr_t mark)
{
    volatile uintptr_t *buffer = tagpool_iobuf_get(pool);
    if (buffer != NULL)
        *buffer = mark;
    return buffer;
}

static void put_marked(volatile uintptr_t *buffer, uintptr_t mark)
{
    if (buffer != NULL && (*buffer != mark || tagpool_iobuf_put(pool, (void *)buffer) != 0))
        abort();
}

/*
 * B1: a buffer is never in two hands.  The first of two goes back first, so that the stack's top comes and goes:
 * without a number beside it, it would be taken for what it was.
 */
static void *get_and_put(void *argument)
{
    for (time_t end = time(NULL) + SECONDS; time(NULL) < end;) {
        volatile uintptr_t *first = get_marked((uintptr_t)argument);
        volatile uintptr_t *second = get_marked((uintptr_t)argument);
        put_marked(first, (uintptr_t)argument);
        put_marked(second, (uintptr_t)argument);
    }
    return NULL;
}

START_TEST(a_buffer_has_one_holder)
{
    const tagpool_iobuf_options_t few = {.tag = TAG, .buffer_size = 4096, .count = 3};
    pool = tagpool_iobuf_create(&few);
    run_threads(get_and_put);
    destroy();
}
END_TEST

static pthread_barrier_t barrier;

static void *read_for_ever(void *unused)
{
    static char mine[POOL];
    (void)unused;
    pthread_barrier_wait(&barrier);
    for (;;) {
        tagpool_iobuf_read(pool, file, mine, sizeof(mine), 0);
        pthread_testcancel();
    }
    return NULL;
}

static void check_cancelled(void)
{
    make_file(MOST);
    for (int i = 0; i < 20; i++) {
        pthread_t thread;
        pthread_barrier_init(&barrier, NULL, 2);
        ck_assert_int_eq(pthread_create(&thread, NULL, read_for_ever, NULL), 0);
        pthread_barrier_wait(&barrier);
        usleep(500);
        pthread_cancel(thread);
        pthread_join(thread, NULL);
        copy_there_and_back(POOL, 0);
    }
}

START_TEST(a_cancelled_thread_keeps_nothing)
{
    each_way(check_cancelled);
}
END_TEST

/* --- fork ----------------------------------------------------------------------------------------------------- */

static bool ring_is_mapped(void)
{
    char line[512];
    bool found = false;
    FILE *maps = fopen("/proc/self/maps", "r");
    while (fgets(line, sizeof(line), maps) != NULL)
        found = found || strstr(line, "[io_uring]") != NULL;
    fclose(maps);
    return found;
}

/* With a buffer in hand that its parent filled; then with a pool of its own. */
static void child_goes_on(char *buffer)
{
    check_filled(buffer, SIZE, 3 * SIZE);
    ck_assert_int_ne(stats().uring_error, 0);
    ck_assert(!ring_is_mapped());
    copy_there_and_back(POOL + SIZE, 0);
    ck_assert_int_eq(tagpool_iobuf_put(pool, buffer), 0);
    tagpool_iobuf_t *inherited = pool;
    create();
    ck_assert_uint_eq(account().bytes, 2 * POOL);
    copy_there_and_back(POOL + SIZE, 0);
    ck_assert_uint_eq(tagpool_iobuf_destroy(inherited), 0);
    ck_assert_uint_eq(account().bytes, POOL);
    copy_there_and_back(POOL + SIZE, 0);
    destroy();
}

static void check_child(pid_t (*make)(void))
{
    int status;
    char *buffer = tagpool_iobuf_get(pool);
    fill(buffer, SIZE, 3 * SIZE);
    pid_t child = make();
    if (child == 0) {
        child_goes_on(buffer);
        _exit(0);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    check_filled(buffer, SIZE, 3 * SIZE);
    ck_assert_int_eq(tagpool_iobuf_put(pool, buffer), 0);
}

static void check_children(void)
{
    ck_assert(ring_is_mapped() == (stats().uring_error == 0));
    check_child(fork);
    check_child(_Fork);
    copy_there_and_back(POOL, 0);
}

START_TEST(a_child_goes_on_without_the_ring)
{
    each_way(check_children);
}
END_TEST

static bool enough;

static void *read_until_enough(void *unused)
{
    static char mine[POOL / 2];
    (void)unused;
    while (!__atomic_load_n(&enough, __ATOMIC_RELAXED))
        if (tagpool_iobuf_read(pool, file, mine, sizeof(mine), 0) != (ssize_t)sizeof(mine))
            abort();
    return NULL;
}

/*
 * The turn, the ring and buffers are in another thread's hands at that moment: the child has a turn of its own.  (So
 * may the locks of libcheck be: neither that thread nor the child calls it.)
 */
static void check_fork_amid_requests(void)
{
    pthread_t thread;
    make_file(MOST);
    enough = false;
    ck_assert_int_eq(pthread_create(&thread, NULL, read_until_enough, NULL), 0);
    for (int i = 0; i < 30; i++) {
        int status;
        pid_t child = fork();
        if (child == 0) {
            fault_must(tagpool_iobuf_read(pool, file, back, MOST, 0) == MOST);
            fault_must(memcmp(back, bytes, MOST) == 0);
            fault_must(tagpool_iobuf_destroy(pool) <= COUNT / 2);
            _exit(0);
        }
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        ck_assert_int_eq(status, 0);
    }
    __atomic_store_n(&enough, true, __ATOMIC_RELAXED);
    pthread_join(thread, NULL);
}

START_TEST(a_child_has_a_turn_of_its_own)
{
    each_way(check_fork_amid_requests);
}
END_TEST

/* --- whatever fails ------------------------------------------------------------------------------------------- */

static void with_failures(void)
{
    pool = tagpool_iobuf_create(&plain);
    if (pool == NULL) {
        fault_must(errno == ENOMEM);
        fault_must_be_empty(TAGPOOL_NONPAGED, TAG);
        return;
    }
    file = open_file(0);
    fill(bytes, MOST, 0);
    fault_must(tagpool_iobuf_write(pool, file, bytes, MOST, 0) == MOST);
    fault_must(tagpool_iobuf_read(pool, file, back, MOST, 0) == MOST);
    fault_must(memcmp(back, bytes, MOST) == 0);
    fault_must(tagpool_iobuf_destroy(pool) == 0);
    close(file);
    fault_must_be_empty(TAGPOOL_NONPAGED, TAG);
}

START_TEST(each_allocation_may_fail)
{
    ck_assert_uint_gt(fault_each(with_failures), COUNT + 5);
}
END_TEST

UNIT_MAIN("iobuf_life", pools_come_and_go_and_leave_no_descriptor, a_closed_ring_is_done_without,
          a_ring_goes_on_from_where_a_piece_is, exec_closes_the_ring, threads_take_turns, a_buffer_has_one_holder,
          a_cancelled_thread_keeps_nothing, a_child_goes_on_without_the_ring, a_child_has_a_turn_of_its_own,
          each_allocation_may_fail)
