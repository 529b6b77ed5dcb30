/*
 * X1, X2, and what follows from each result of a system call.
 */
#include "unit.h"

#include "transfer.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { SIZE = 4096, COUNT = 4 };

static char memory[COUNT * SIZE];
static struct tp_transfer transfers[COUNT];
static struct tp_request request;

static void make(bool is_write)
{
    request = (struct tp_request){.fd = -1, .is_write = is_write, .count = COUNT, .transfers = transfers};
    for (unsigned i = 0; i < COUNT; i++)
        transfers[i] = (struct tp_transfer){.address = memory + i * SIZE, .size = SIZE, .offset = i * SIZE};
}

static void advance(unsigned i, int64_t result)
{
    tp_transfer_advance(&request, &transfers[i], result);
}

static void check_joined(size_t done, int error)
{
    int said = -1;
    ck_assert_uint_eq(tp_transfer_join(&request, &said), done);
    ck_assert_int_eq(said, error);
}

START_TEST(short_and_interrupted_pieces_have_a_rest)
{
    make(false);
    advance(0, 1000);
    advance(0, -EINTR);
    advance(0, -EAGAIN);
    ck_assert_uint_eq(transfers[0].done, 1000);
    ck_assert(!transfers[0].is_over);
    ck_assert(!tp_transfer_is_finished(&request));
    advance(0, SIZE - 1000);
    ck_assert(transfers[0].is_over);
    check_joined(SIZE, 0);
}
END_TEST

START_TEST(a_read_ends_at_the_end_of_the_file)
{
    make(false);
    for (unsigned i = 0; i < COUNT; i++)
        advance(i, i == 2 ? 0 : SIZE);
    ck_assert(tp_transfer_is_finished(&request));
    check_joined(2 * SIZE, 0);
}
END_TEST

START_TEST(an_odd_place_is_the_end_of_a_read_alone)
{
    make(false);
    advance(0, 1000);
    advance(0, -EINVAL);
    ck_assert(tp_transfer_is_finished(&request));
    check_joined(1000, 0);
    make(false);
    advance(0, 1024);
    advance(0, -EINVAL);
    check_joined(1024, EINVAL);
    make(true);
    advance(0, 1000);
    advance(0, -EINVAL);
    check_joined(1000, EINVAL);
}
END_TEST

START_TEST(an_error_counts_what_comes_before_it)
{
    make(true);
    advance(0, SIZE);
    advance(1, 512);
    advance(1, -ENOSPC);
    advance(3, SIZE);
    ck_assert(tp_transfer_is_finished(&request));
    check_joined(SIZE + 512, ENOSPC);
}
END_TEST

START_TEST(a_write_of_nothing_is_an_error)
{
    make(true);
    advance(0, 0);
    check_joined(0, EIO);
}
END_TEST

/* What a ring left in any state is finished by plain calls, and only what is left is asked for. */
START_TEST(a_rest_is_finished)
{
    char content[COUNT * SIZE];
    for (size_t i = 0; i < sizeof(content); i++)
        content[i] = (char)(i * 7 + i / SIZE);
    FILE *file = tmpfile();
    ck_assert_ptr_nonnull(file);
    make(false);
    request.fd = fileno(file);
    ck_assert_int_eq(pwrite(request.fd, content, sizeof(content), 0), sizeof(content));
    memset(memory, 'x', sizeof(memory));
    advance(1, SIZE);
    advance(2, 100);
    tp_transfer_run(&request);
    check_joined(COUNT * SIZE, 0);
    ck_assert_uint_eq(request.calls, 2); /* before what was there, and behind it */
    memset(content + SIZE, 'x', SIZE + 100);
    ck_assert_int_eq(memcmp(memory, content, sizeof(content)), 0);
    fclose(file);
}
END_TEST

START_TEST(more_pieces_than_one_call_takes)
{
    enum { MANY = 300 };
    static struct tp_transfer many[MANY];
    static char bytes[MANY];
    FILE *file = tmpfile();
    ck_assert_ptr_nonnull(file);
    request = (struct tp_request){.fd = fileno(file), .is_write = true, .count = MANY, .transfers = many};
    for (unsigned i = 0; i < MANY; i++) {
        bytes[i] = (char)(i * 3 + i / 7);
        many[i] = (struct tp_transfer){.address = &bytes[i], .size = 1, .offset = i};
    }
    char back[MANY + 1];
    tp_transfer_run(&request);
    check_joined(MANY, 0);
    ck_assert_int_eq(pread(request.fd, back, sizeof(back), 0), MANY);
    ck_assert_int_eq(memcmp(back, bytes, MANY), 0);
    fclose(file);
}
END_TEST

UNIT_MAIN("transfer", short_and_interrupted_pieces_have_a_rest, a_read_ends_at_the_end_of_the_file,
          an_odd_place_is_the_end_of_a_read_alone, an_error_counts_what_comes_before_it, a_write_of_nothing_is_an_error,
          a_rest_is_finished, more_pieces_than_one_call_takes)
