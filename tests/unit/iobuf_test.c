/*
 * B2 and the rules of the public header: buffers and lists, requests split and joined, ends of files, errors.
 */
#include "iobuf_ways.h"
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <unistd.h>

static struct iovec pieces[COUNT];
static tagpool_iobuf_list_t list = {.pieces = pieces, .room = COUNT};

static void check_short(ssize_t result, ssize_t wanted, int error)
{
    int said = errno;
    ck_assert_int_eq(result, wanted);
    ck_assert_int_eq(said, error);
}

static void get_list(size_t size)
{
    ck_assert_int_eq(tagpool_iobuf_get_list(pool, size, &list), 0);
}

static void put_list(void)
{
    ck_assert_int_eq(tagpool_iobuf_put_list(pool, &list), 0);
    ck_assert_uint_eq(list.count, 0);
    ck_assert_uint_eq(stats().out, 0);
}

static void check_list_filled(size_t size, uint64_t offset)
{
    for (unsigned i = 0; i < list.count && size > 0; i++) {
        size_t part = tp_min(size, pieces[i].iov_len);
        check_filled(pieces[i].iov_base, part, offset);
        offset += part;
        size -= part;
    }
    ck_assert_uint_eq(size, 0);
}

/* --- buffers -------------------------------------------------------------------------------------------------- */

static void check_refused(tagpool_iobuf_options_t options)
{
    errno = 0;
    ck_assert_ptr_null(tagpool_iobuf_create(&options));
    ck_assert_int_eq(errno, EINVAL);
}

START_TEST(wrong_options_are_einval)
{
    tagpool_iobuf_options_t options = plain;
    options.tag = 7;
    check_refused(options);
    options = plain;
    options.buffer_size = 0;
    check_refused(options);
    options.buffer_size = 4095;
    check_refused(options);
    options.buffer_size = TAGPOOL_IOBUF_SIZE_MAX + 4096;
    check_refused(options);
    options = plain;
    options.count = 0;
    check_refused(options);
    options.count = TAGPOOL_IOBUF_COUNT_MAX + 1;
    check_refused(options);
}
END_TEST

START_TEST(a_pool_beyond_the_lockable_is_enomem)
{
    struct rlimit limit = {POOL / 2, POOL / 2};
    ck_assert_int_eq(setrlimit(RLIMIT_MEMLOCK, &limit), 0);
    errno = 0;
    ck_assert_ptr_null(tagpool_iobuf_create(&plain));
    ck_assert_int_eq(errno, ENOMEM);
    ck_assert_uint_eq(account().bytes, 0);
    tagpool_iobuf_options_t half = plain;
    half.count = COUNT / 2;
    pool = tagpool_iobuf_create(&half);
    ck_assert_ptr_nonnull(pool);
    destroy();
}
END_TEST

START_TEST(every_buffer_counts_under_its_tag)
{
    create();
    ck_assert_uint_eq(account().allocs, COUNT);
    ck_assert_uint_eq(account().bytes, POOL);
    void *buffer = tagpool_iobuf_get(pool);
    ck_assert_uint_eq(tagpool_tag_of(buffer), TAG);
    ck_assert_uint_eq(account().allocs, COUNT);
    ck_assert_int_eq(tagpool_iobuf_put(pool, buffer), 0);
    destroy();
    ck_assert_uint_eq(account().frees, COUNT);
}
END_TEST

START_TEST(buffers_come_and_go_last_in_first_out)
{
    char *buffers[COUNT];
    create();
    for (unsigned i = 0; i < COUNT; i++) {
        buffers[i] = tagpool_iobuf_get(pool);
        ck_assert_ptr_nonnull(buffers[i]);
        ck_assert_uint_eq((uintptr_t)buffers[i] % TAGPOOL_IOBUF_ALIGNMENT, 0);
        memset(buffers[i], (int)i, SIZE);
    }
    for (unsigned i = 0; i < COUNT; i++)
        ck_assert(buffers[i][0] == (char)i && buffers[i][SIZE - 1] == (char)i);
    errno = 0;
    ck_assert_ptr_null(tagpool_iobuf_get(pool));
    ck_assert_int_eq(errno, ENOBUFS);
    ck_assert_uint_eq(stats().out, COUNT);
    for (unsigned i = 0; i < COUNT; i++)
        ck_assert_int_eq(tagpool_iobuf_put(pool, buffers[i]), 0);
    ck_assert_ptr_eq(tagpool_iobuf_get(pool), buffers[COUNT - 1]);
    ck_assert_int_eq(tagpool_iobuf_put(pool, buffers[COUNT - 1]), 0);
    ck_assert_int_eq(tagpool_iobuf_put(pool, NULL), 0);
    destroy();
}
END_TEST

static void check_put_refused(void *address)
{
    errno = 0;
    ck_assert_int_eq(tagpool_iobuf_put(pool, address), -1);
    ck_assert_int_eq(errno, EINVAL);
}

START_TEST(what_is_not_out_cannot_be_put)
{
    create();
    char *buffer = tagpool_iobuf_get(pool);
    check_put_refused(buffer + 1);
    check_put_refused(buffer + SIZE);
    check_put_refused(&pool);
    check_put_refused((void *)1);
    ck_assert_int_eq(tagpool_iobuf_put(pool, buffer), 0);
    check_put_refused(buffer);
    ck_assert_uint_eq(stats().out, 0);
    destroy();
}
END_TEST

START_TEST(buffers_still_out_are_told_and_theirs_to_free)
{
    create();
    get_list(3 * SIZE);
    ck_assert_uint_eq(tagpool_iobuf_destroy(pool), 3);
    ck_assert_uint_eq(account().bytes, 3 * SIZE);
    for (unsigned i = 0; i < 3; i++) {
        memset(pieces[i].iov_base, 1, SIZE);
        tagpool_free_tag(pieces[i].iov_base, TAG);
    }
    ck_assert_uint_eq(account().bytes, 0);
}
END_TEST

START_TEST(lists_are_whole_or_nothing)
{
    create();
    get_list(2 * SIZE + 100);
    ck_assert_uint_eq(list.count, 3);
    ck_assert_uint_eq(pieces[1].iov_len, SIZE);
    ck_assert_uint_eq(pieces[2].iov_len, 100);
    struct iovec more[COUNT];
    tagpool_iobuf_list_t second = {.pieces = more, .room = COUNT};
    check_short(tagpool_iobuf_get_list(pool, POOL, &second), -1, ENOBUFS);
    ck_assert_uint_eq(stats().out, 3);
    check_short(tagpool_iobuf_get_list(pool, POOL + 1, &second), -1, EMSGSIZE);
    second.room = 1;
    check_short(tagpool_iobuf_get_list(pool, SIZE + 1, &second), -1, EMSGSIZE);
    put_list();
    get_list(0);
    ck_assert_uint_eq(list.count, 0);
    get_list(POOL);
    put_list();
    destroy();
}
END_TEST

/* --- split and joined ----------------------------------------------------------------------------------------- */

static void check_copies(void)
{
    const size_t step = is_direct ? SECTOR : 1;
    for (size_t around = 0; around <= 2 * POOL + SIZE; around += SIZE)
        for (size_t size = around > step ? around - step : 0; size <= around + step; size += step)
            copy_there_and_back(size, 0);
    copy_there_and_back(POOL, SIZE + SECTOR);
    ck_assert_uint_eq(stats().out, 0);
}

START_TEST(plain_memory_of_any_size_around_every_boundary)
{
    each_way(check_copies);
}
END_TEST

/* Any size may be read, whatever the device's blocks: nothing beyond it is written in memory. */
static void check_odd_reads(void)
{
    make_file(MOST);
    for (size_t around = SECTOR; around <= POOL + SIZE; around += SIZE / 2)
        for (size_t size = around - 1; size <= around + 1; size++) {
            memset(back, 'x', sizeof(back));
            ck_assert_int_eq(tagpool_iobuf_read(pool, file, back, size, SECTOR), (ssize_t)size);
            check_filled(back, size, SECTOR);
            ck_assert_int_eq(back[size], 'x');
        }
}

START_TEST(reads_of_odd_sizes)
{
    each_way(check_odd_reads);
}
END_TEST

static void list_there_and_back(size_t size, uint64_t offset)
{
    uint64_t at = offset;
    get_list(size);
    for (unsigned i = 0; i < list.count; at += pieces[i++].iov_len)
        fill(pieces[i].iov_base, pieces[i].iov_len, at);
    ck_assert_int_eq(tagpool_iobuf_write_list(pool, file, &list, offset), (ssize_t)size);
    for (unsigned i = 0; i < list.count; i++)
        memset(pieces[i].iov_base, 'x', SIZE);
    ck_assert_int_eq(tagpool_iobuf_read_list(pool, file, &list, offset), (ssize_t)size);
    check_list_filled(size, offset);
    put_list();
}

static void check_lists(void)
{
    const size_t step = is_direct ? SECTOR : 1;
    for (size_t around = 0; around <= POOL; around += SIZE)
        for (size_t size = around > step ? around - step : 0; size <= tp_min(around + step, POOL); size += step)
            list_there_and_back(size, SECTOR);
}

START_TEST(lists_of_any_size_around_every_boundary)
{
    each_way(check_lists);
}
END_TEST

/* Pieces may begin and end anywhere in their buffers, and several lie in one. */
static void check_parts(void)
{
    make_file(MOST);
    get_list(2 * SIZE);
    char *first = pieces[0].iov_base;
    struct iovec parts[] = {
        {(char *)pieces[1].iov_base + SECTOR, SECTOR}, {first, 0}, {first + 2 * SECTOR, 2 * SECTOR}, {first, SECTOR}};
    const tagpool_iobuf_list_t some = {.pieces = parts, .room = 4, .count = 4};
    ck_assert_int_eq(tagpool_iobuf_read_list(pool, file, &some, SECTOR), 4 * SECTOR);
    check_filled(parts[0].iov_base, SECTOR, SECTOR);
    check_filled(parts[2].iov_base, 2 * SECTOR, 2 * SECTOR);
    check_filled(parts[3].iov_base, SECTOR, 4 * SECTOR);
    put_list();
}

START_TEST(pieces_may_be_parts_of_buffers)
{
    each_way(check_parts);
}
END_TEST

static void check_counts(void)
{
    make_file(MOST);
    tagpool_iobuf_stats_t before = stats();
    get_list(POOL);
    ck_assert_int_eq(tagpool_iobuf_read_list(pool, file, &list, 0), POOL);
    tagpool_iobuf_stats_t after = stats();
    ck_assert_uint_eq(after.count, COUNT);
    ck_assert_uint_eq(after.out, COUNT);
    ck_assert_uint_eq(after.requests - before.requests, 1);
    ck_assert_uint_eq(after.pieces - before.pieces, COUNT);
    ck_assert_uint_ge(after.calls, before.calls + 1);
    ck_assert_uint_le(after.calls, before.calls + COUNT);
    ck_assert_uint_eq(after.bytes_read - before.bytes_read, POOL);
    ck_assert_uint_eq(after.bytes_written, MOST);
    put_list();
}

START_TEST(requests_pieces_calls_and_bytes_are_counted)
{
    each_way(check_counts);
}
END_TEST

/* --- ends and errors ------------------------------------------------------------------------------------------ */

static void check_end(size_t length)
{
    make_file(length);
    get_list(POOL);
    errno = -1;
    check_short(tagpool_iobuf_read_list(pool, file, &list, 0), (ssize_t)length, 0);
    check_list_filled(length, 0);
    put_list();
    errno = -1;
    memset(back, 'x', sizeof(back));
    check_short(tagpool_iobuf_read(pool, file, back, MOST, 0), (ssize_t)length, 0);
    check_filled(back, length, 0);
    ck_assert_int_eq(back[length], 'x');
    errno = -1;
    check_short(tagpool_iobuf_read(pool, file, back, SIZE, MOST), 0, 0);
}

static void check_ends(void)
{
    for (size_t around = 0; around < POOL; around += SIZE)
        for (size_t odd = 0; odd < 3; odd++)
            check_end(around + odd * 904); /* 904 and 1808 end within a block */
    errno = 7;
    check_short(tagpool_iobuf_read(pool, file, back, 0, 0), 0, 7);
}

START_TEST(a_short_file_ends_a_request)
{
    each_way(check_ends);
}
END_TEST

static void check_unaligned(void)
{
    fill(bytes, MOST, 0);
    ssize_t result = tagpool_iobuf_write(pool, file, bytes, SIZE + 100, 0);
    if (!is_direct)
        ck_assert_int_eq(result, SIZE + 100);
    else if (result != SIZE + 100) /* some file systems take it */
        check_short(result, SIZE, EINVAL);
    ck_assert_int_eq(tagpool_iobuf_read(pool, file, back, SIZE, 0), SIZE);
    check_filled(back, SIZE, 0);
}

START_TEST(a_write_with_an_odd_tail_comes_as_far_as_the_tail)
{
    each_way(check_unaligned);
}
END_TEST

static void check_all_refuse(int fd, uint64_t offset, int error)
{
    get_list(2 * SIZE);
    check_short(tagpool_iobuf_write_list(pool, fd, &list, offset), -1, error);
    check_short(tagpool_iobuf_write(pool, fd, bytes, 2 * SIZE, offset), -1, error);
    put_list();
}

static void check_errors(void)
{
    int ends[2];
    int read_only = open("/proc/self/exe", O_RDONLY);
    int full = open("/dev/full", O_WRONLY);
    ck_assert_int_eq(pipe(ends), 0);
    check_all_refuse(-1, 0, EBADF);
    check_all_refuse(read_only, 0, EBADF);
    check_all_refuse(ends[1], 0, ESPIPE);
    check_all_refuse(full, 0, ENOSPC);
    check_all_refuse(file, INT64_MAX, EINVAL);
    check_all_refuse(file, UINT64_MAX, EINVAL);
    check_short(tagpool_iobuf_write(pool, file, bytes, SIZE_MAX, 0), -1, EINVAL);
    close(ends[0]);
    close(ends[1]);
    close(full);
    close(read_only);
}

START_TEST(errors_are_told)
{
    each_way(check_errors);
}
END_TEST

/* The system refuses bytes beyond a limit: what comes before it is there, and the error is told at once. */
static void check_limit(void)
{
    const struct rlimit limit = {3 * SIZE, RLIM_INFINITY};
    const struct rlimit within = {5 * SIZE + SECTOR, RLIM_INFINITY};
    const struct rlimit none = {RLIM_INFINITY, RLIM_INFINITY};
    fill(bytes, MOST, 0);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    check_short(tagpool_iobuf_write(pool, file, bytes, 6 * SIZE, 0), 3 * SIZE, EFBIG);
    check_short(tagpool_iobuf_write(pool, file, bytes, MOST, 0), 3 * SIZE, EFBIG);
    check_all_refuse(file, 3 * SIZE, EFBIG);
    get_list(6 * SIZE);
    for (unsigned i = 0; i < list.count; i++)
        fill(pieces[i].iov_base, SIZE, i * SIZE);
    check_short(tagpool_iobuf_write_list(pool, file, &list, 0), 3 * SIZE, EFBIG);
    put_list();
    check_short(tagpool_iobuf_read(pool, file, back, MOST, 0), 3 * SIZE, 0);
    check_filled(back, 3 * SIZE, 0);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &within), 0);
    check_short(tagpool_iobuf_write(pool, file, bytes, MOST, 0), 5 * SIZE + SECTOR, EFBIG);
    check_short(tagpool_iobuf_read(pool, file, back, MOST, 0), 5 * SIZE + SECTOR, 0);
    check_filled(back, 5 * SIZE + SECTOR, 0);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &none), 0);
}

START_TEST(an_error_in_the_middle_tells_what_was_done)
{
    signal(SIGXFSZ, SIG_IGN);
    each_way(check_limit);
}
END_TEST

static void check_list_refused(struct iovec piece)
{
    const tagpool_iobuf_list_t wrong = {.pieces = &piece, .room = 1, .count = 1};
    check_short(tagpool_iobuf_read_list(pool, file, &wrong, 0), -1, EINVAL);
}

START_TEST(a_list_must_lie_in_buffers_that_are_out)
{
    static struct iovec many[COUNT + 1];
    create();
    file = open_file(0);
    char *buffer = tagpool_iobuf_get(pool);
    check_list_refused((struct iovec){buffer, SIZE + 1});
    check_list_refused((struct iovec){buffer + 1, SIZE});
    check_list_refused((struct iovec){back, 1});
    check_list_refused((struct iovec){NULL, 1});
    tagpool_iobuf_list_t long_list = {.pieces = many, .room = COUNT + 1, .count = COUNT + 1};
    for (unsigned i = 0; i <= COUNT; i++)
        many[i] = (struct iovec){buffer, 1};
    check_short(tagpool_iobuf_read_list(pool, file, &long_list, 0), -1, EINVAL);
    tagpool_iobuf_put(pool, buffer);
    check_list_refused((struct iovec){buffer, SIZE});
    destroy();
}
END_TEST

/* B2: with all buffers held by callers a copy says so; one is enough for any size. */
static void check_scarce(void)
{
    make_file(MOST);
    get_list(POOL);
    check_short(tagpool_iobuf_read(pool, file, back, SIZE, 0), -1, ENOBUFS);
    ck_assert_int_eq(tagpool_iobuf_put(pool, pieces[--list.count].iov_base), 0);
    ck_assert_int_eq(tagpool_iobuf_read(pool, file, back, MOST, 0), MOST);
    check_filled(back, MOST, 0);
    put_list();
}

START_TEST(one_free_buffer_is_enough_for_any_copy)
{
    each_way(check_scarce);
}
END_TEST

/* Some kernels say EAGAIN to the ring for ever where a file cannot tell whether it would wait, and shall not. */
static void check_nonblocking(void)
{
    int fd = open("/proc/version", O_RDONLY | O_NONBLOCK);
    ssize_t size = read(fd, bytes, MOST);
    ck_assert_int_gt(size, 10);
    check_short(tagpool_iobuf_read(pool, fd, back, MOST, 0), size, 0);
    ck_assert_int_eq(memcmp(back, bytes, (size_t)size), 0);
    close(fd);
}

START_TEST(a_nonblocking_file_is_read_to_its_end)
{
    each_way(check_nonblocking);
}
END_TEST

static volatile sig_atomic_t alarms;

static void count_alarm(int unused)
{
    (void)unused;
    alarms++;
}

static void check_interrupted(void)
{
    const struct itimerval often = {{0, 200}, {0, 200}};
    const struct itimerval never = {{0, 0}, {0, 0}};
    alarms = 0;
    make_file(MOST);
    setitimer(ITIMER_REAL, &often, NULL);
    for (int i = 0; i < 20000 && alarms < 100; i++)
        copy_there_and_back(POOL + SIZE, 0);
    setitimer(ITIMER_REAL, &never, NULL);
    ck_assert_int_ge(alarms, 100);
}

START_TEST(signals_interrupt_nothing)
{
    const struct sigaction action = {.sa_handler = count_alarm}; /* no SA_RESTART */
    sigaction(SIGALRM, &action, NULL);
    each_way(check_interrupted);
}
END_TEST

UNIT_MAIN("iobuf", wrong_options_are_einval, a_pool_beyond_the_lockable_is_enomem, every_buffer_counts_under_its_tag,
          buffers_come_and_go_last_in_first_out, what_is_not_out_cannot_be_put,
          buffers_still_out_are_told_and_theirs_to_free, lists_are_whole_or_nothing,
          plain_memory_of_any_size_around_every_boundary, reads_of_odd_sizes, lists_of_any_size_around_every_boundary,
          pieces_may_be_parts_of_buffers, requests_pieces_calls_and_bytes_are_counted, a_short_file_ends_a_request,
          a_write_with_an_odd_tail_comes_as_far_as_the_tail, errors_are_told,
          an_error_in_the_middle_tells_what_was_done, a_list_must_lie_in_buffers_that_are_out,
          one_free_buffer_is_enough_for_any_copy, a_nonblocking_file_is_read_to_its_end, signals_interrupt_nothing)
