/*
 * Lines of /proc/PID/maps, in pieces of any size.
 */
#include "unit.h"

#include "maps.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct text_image {
    struct tp_image image;
    const char *text;
    size_t length;
    size_t step;
    int error; /* at the end */
};

static int read_text(struct tp_image *image, char *to, size_t size)
{
    struct text_image *text = (struct text_image *)image;
    size_t length = text->step < text->length ? text->step : text->length;
    length = length < size ? length : size;
    if (length == 0)
        return text->error;
    memcpy(to, text->text, length);
    text->text += length;
    text->length -= length;
    return (int)length;
}

static struct text_image image_of(const char *text, size_t step)
{
    return (struct text_image){{.maps = read_text}, text, strlen(text), step, 0};
}

static void expect(const struct tp_mapping *mapping, uintptr_t from, uintptr_t to, const char *what)
{
    ck_assert_uint_eq(mapping->from, from);
    ck_assert_uint_eq(mapping->to, to);
    ck_assert_int_eq(mapping->is_readable, strchr(what, 'r') != NULL);
    ck_assert_int_eq(mapping->is_writable, strchr(what, 'w') != NULL);
    ck_assert_int_eq(mapping->is_private, strchr(what, 'p') != NULL);
    ck_assert_int_eq(mapping->is_stack, strchr(what, 'S') != NULL);
}

static const char three[] =
    "55d0c0a00000-55d0c0a01000 r--p 00000000 fe:00 247134                     /usr/bin/a file\n"
    "7f31a2b3e000-7f31a2b3f000 rw-s 00000000 00:01 17                         /dev/zero (deleted)\n"
    "7f31a2b40000-7f31a2b41000 ---p 00000000 00:00 0 \n"
    "7ffc00000000-7ffc00021000 rw-p 00000000 00:00 0                          [stack]\n";

START_TEST(lines_are_read_in_pieces_of_any_size)
{
    for (size_t step = 1; step < sizeof(three); step++) {
        struct text_image image = image_of(three, step);
        struct tp_maps maps = {.image = &image.image};
        struct tp_mapping mapping;
        ck_assert(tp_maps_next(&maps, &mapping));
        expect(&mapping, 0x55d0c0a00000, 0x55d0c0a01000, "rp");
        ck_assert(tp_maps_next(&maps, &mapping));
        expect(&mapping, 0x7f31a2b3e000, 0x7f31a2b3f000, "rw");
        ck_assert(tp_maps_next(&maps, &mapping));
        expect(&mapping, 0x7f31a2b40000, 0x7f31a2b41000, "p");
        ck_assert(tp_maps_next(&maps, &mapping));
        expect(&mapping, 0x7ffc00000000, 0x7ffc00021000, "rwpS");
        ck_assert(!tp_maps_next(&maps, &mapping));
        ck_assert_int_eq(maps.error, 0);
    }
}
END_TEST

START_TEST(long_paths_are_passed_over)
{
    static char text[20000];
    size_t length = (size_t)sprintf(text, "1000-2000 rw-p 00000000 fe:00 1      /");
    memset(text + length, 'x', 15000);
    strcpy(text + length + 15000, "\n3000-4000 rw-p 00000000 00:00 0 \n");
    struct text_image image = image_of(text, sizeof(text));
    struct tp_maps maps = {.image = &image.image};
    struct tp_mapping mapping;
    ck_assert(tp_maps_next(&maps, &mapping));
    expect(&mapping, 0x1000, 0x2000, "rwp");
    ck_assert(tp_maps_next(&maps, &mapping));
    expect(&mapping, 0x3000, 0x4000, "rwp");
    ck_assert(!tp_maps_next(&maps, &mapping));
}
END_TEST

START_TEST(an_error_is_kept)
{
    struct text_image image = image_of("", 1);
    struct tp_maps maps = {.image = &image.image};
    struct tp_mapping mapping;
    image.error = -EACCES;
    ck_assert(!tp_maps_next(&maps, &mapping));
    ck_assert_int_eq(maps.error, -EACCES);
}
END_TEST

static int read_file(struct tp_image *image, char *to, size_t size)
{
    return (int)read((int)((struct text_image *)image)->step, to, size);
}

START_TEST(the_real_file_has_a_stack)
{
    int here;
    struct text_image image = {.image = {.maps = read_file}, .step = (size_t)open("/proc/self/maps", O_RDONLY)};
    struct tp_maps maps = {.image = &image.image};
    struct tp_mapping mapping;
    int stacks = 0;
    uintptr_t last = 0;
    while (tp_maps_next(&maps, &mapping)) {
        ck_assert_uint_ge(mapping.from, last);
        last = mapping.to;
        stacks += mapping.is_stack && (uintptr_t)&here >= mapping.from && (uintptr_t)&here < mapping.to;
    }
    ck_assert_int_eq(stacks, 1);
}
END_TEST

UNIT_MAIN("maps", lines_are_read_in_pieces_of_any_size, long_paths_are_passed_over, an_error_is_kept,
          the_real_file_has_a_stack)
