#include "iobuf_ways.h"
#include "fault.h"
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

const tagpool_iobuf_options_t plain = {.tag = TAG, .buffer_size = SIZE, .count = COUNT};

tagpool_iobuf_t *pool;
int file = -1;
bool is_direct;
char bytes[MOST], back[MOST + 1];

tagpool_iobuf_stats_t stats(void)
{
    tagpool_iobuf_stats_t now;
    tagpool_iobuf_stats(pool, &now);
    return now;
}

void create(void)
{
    pool = tagpool_iobuf_create(&plain);
    ck_assert_ptr_nonnull(pool);
}

struct tagpool_stats account(void)
{
    struct tagpool_stats now = {0};
    tagpool_stats(TAGPOOL_NONPAGED, TAG, &now);
    return now;
}

void destroy(void)
{
    ck_assert_uint_eq(stats().out, 0);
    ck_assert_uint_eq(tagpool_iobuf_destroy(pool), 0);
    ck_assert_uint_eq(account().bytes, 0);
    ck_assert_uint_eq(account().allocs, account().frees);
}

/* One allocation after the other is refused, until it is one without which the pool is made, but for its ring. */
static void create_without_ring(void)
{
    for (unsigned nth = 1;; nth++) {
        fault_at(nth);
        pool = tagpool_iobuf_create(&plain);
        if (pool != NULL && stats().uring_error != 0)
            break;
        ck_assert(fault_happened()); /* else none is left that could be refused */
        tagpool_iobuf_destroy(pool);
    }
    fault_at(0);
}

int open_file(int flags)
{
    const char *directory = getenv("TMPDIR");
    char path[4096];
    snprintf(path, sizeof(path), "%s/tagpool-iobuf-XXXXXX", directory != NULL ? directory : "/var/tmp");
    int made = mkstemp(path);
    ck_assert_int_ge(made, 0);
    int opened = open(path, O_RDWR | flags);
    ck_assert(opened >= 0 || (flags & O_DIRECT) != 0);
    unlink(path);
    close(made);
    return opened;
}

static void run_one_way(void (*test)(void), bool direct, bool with_ring)
{
    is_direct = direct;
    file = open_file(direct ? O_DIRECT : 0);
    if (file < 0) {
        printf("iobuf: no O_DIRECT here: %s\n", strerror(errno));
        return;
    }
    if (with_ring)
        create();
    else
        create_without_ring();
    if (with_ring && stats().uring_error != 0)
        printf("iobuf: no io_uring here: %s\n", strerror(stats().uring_error));
    int uring_error = stats().uring_error;
    test();
    ck_assert_int_eq(stats().uring_error, uring_error); /* the ring was not lost on the way */
    destroy();
    close(file);
}

void each_way(void (*test)(void))
{
    for (int way = 0; way < 4; way++)
        run_one_way(test, (way & 1) != 0, (way & 2) != 0);
}

char byte_at(uint64_t offset)
{
    return (char)(offset * UINT64_C(0x9e3779b97f4a7c15) >> 40);
}

void fill(char *to, size_t size, uint64_t offset)
{
    for (size_t i = 0; i < size; i++)
        to[i] = byte_at(offset + i);
}

void check_filled(const char *from, size_t size, uint64_t offset)
{
    static char wanted[MOST];
    fill(wanted, size, offset);
    ck_assert_int_eq(memcmp(from, wanted, size), 0);
}

void make_file(size_t size)
{
    fill(bytes, MOST, 0);
    ck_assert_int_eq(ftruncate(file, 0), 0);
    ck_assert_int_eq(tagpool_iobuf_write(pool, file, bytes, MOST, 0), MOST);
    ck_assert_int_eq(ftruncate(file, (off_t)size), 0);
}

void copy_there_and_back(size_t size, uint64_t offset)
{
    fill(bytes, size, offset);
    ck_assert_int_eq(tagpool_iobuf_write(pool, file, bytes, size, offset), (ssize_t)size);
    memset(back, 'x', sizeof(back));
    ck_assert_int_eq(tagpool_iobuf_read(pool, file, back, size, offset), (ssize_t)size);
    check_filled(back, size, offset);
    ck_assert_int_eq(back[size], 'x');
}
