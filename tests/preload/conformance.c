/*
 * The malloc family as programs rely on it: results, errno, alignment, and what is left alone on failure.
 *
 * It must pass with the C library's own malloc as well, so each line is a rule and not a habit of ours.  One is not the
 * C library's: that posix_memalign leaves errno alone.
 */
#include <errno.h>
#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

static int failures;
static int is_bare; /* argument: the C library's own malloc is what we test */

#define CHECK(cond)                                                                                                    \
    do {                                                                                                               \
        if (!(cond)) {                                                                                                 \
            fprintf(stderr, "FAILED line %d: %s\n", __LINE__, #cond);                                                  \
            failures++;                                                                                                \
        }                                                                                                              \
    } while (0)

static void *const untouched = (void *)0x1234;

/* Compilers know what these functions do; we want to see it. */
static volatile size_t huge = PTRDIFF_MAX, over = SIZE_MAX;

static void test_posix_memalign(void)
{
    static const size_t wrong[] = {0, 1, 2, 4, 3, 7, 12, 24, 40, SIZE_MAX};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        void *out = untouched;
        errno = 4711;
        CHECK(posix_memalign(&out, wrong[i], 100) == EINVAL);
        CHECK(out == untouched);
        CHECK(errno == 4711);
    }
    void *out = untouched;
    errno = 4711;
    CHECK(posix_memalign(&out, 64, huge) == ENOMEM);
    CHECK(posix_memalign(&out, 64, over - 10) == ENOMEM);
    CHECK(posix_memalign(&out, 4096, over - 4096) == ENOMEM);
    CHECK(out == untouched);
    CHECK(errno == 4711 || is_bare);
    for (size_t alignment = 8; alignment <= (size_t)1 << 22; alignment *= 2)
        for (size_t size = 0; size < 300000; size = size * 3 + 1) {
            CHECK(posix_memalign(&out, alignment, size) == 0);
            CHECK(out != NULL && (uintptr_t)out % alignment == 0 && malloc_usable_size(out) >= size);
            memset(out, 1, size);
            free(out);
        }
    CHECK(errno == 4711 || is_bare);
}

static void test_aligned_alloc(void)
{
    for (size_t alignment = 16; alignment <= 65536; alignment *= 2) {
        /* A size that is no multiple of the alignment is taken. */
        char *block = aligned_alloc(alignment, alignment + 1);
        CHECK(block != NULL && (uintptr_t)block % alignment == 0);
        block[alignment] = 1;
        char *longer = realloc(block, alignment * 4);
        CHECK(longer != NULL && longer[alignment] == 1);
        free(longer);
    }
    errno = 0;
    CHECK(aligned_alloc(64, huge) == NULL && errno == ENOMEM);
    errno = 0;
    CHECK(aligned_alloc(64, over) == NULL && errno == ENOMEM);
}

static void test_memalign(void)
{
    static const size_t odd[] = {0, 1, 3, 17, 24, 48, 100, 1000, 5000};
    for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
        size_t power = 16;
        while (power < odd[i])
            power *= 2;
        void *block = memalign(odd[i], 100);
        CHECK(block != NULL && (uintptr_t)block % power == 0);
        free(block);
    }
    errno = 0;
    CHECK(memalign(over, 1) == NULL && errno == EINVAL);
    void *page = valloc(100), *pages = pvalloc(5000);
    CHECK((uintptr_t)page % 4096 == 0 && (uintptr_t)pages % 4096 == 0);
    CHECK(malloc_usable_size(pages) >= 8192);
    memset(pages, 1, 8192);
    free(page);
    free(pages);
    errno = 0;
    CHECK(pvalloc(over) == NULL && errno == ENOMEM);
    errno = 0;
    CHECK(valloc(over - 100) == NULL && errno == ENOMEM);
}

static void test_realloc(void)
{
    char *block = realloc(NULL, 100);
    CHECK(block != NULL);
    memset(block, 7, 100);
    errno = 0;
    CHECK(realloc(block, huge) == NULL && errno == ENOMEM && block[99] == 7);
    errno = 0;
    CHECK(reallocarray(block, over / 2, 3) == NULL && errno == ENOMEM && block[99] == 7);
    block = reallocarray(block, 1000, 1000);
    CHECK(block != NULL && block[0] == 7 && block[99] == 7);
    block[999999] = 8;
    block = realloc(block, 3000000);
    CHECK(block != NULL && block[99] == 7 && block[999999] == 8);
    block = realloc(block, 10);
    CHECK(block != NULL && block[9] == 7);
    CHECK(realloc(block, 0) == NULL); /* freed */
    block = realloc(NULL, 0);
    CHECK(block != NULL);
    free(block);
    for (size_t size = 1; size < 3000000; size = size * 5 / 3 + 1) {
        unsigned char *grown = malloc(size);
        memset(grown, (int)size & 0xff, size);
        grown = realloc(grown, size * 2);
        for (size_t i = 0; i < size; i += size / 64 + 1)
            CHECK(grown[i] == (size & 0xff));
        free(grown);
    }
}

static void test_calloc(void)
{
    errno = 0;
    CHECK(calloc(over / 2, 3) == NULL && errno == ENOMEM);
    errno = 0;
    CHECK(calloc((size_t)1 << 32, (size_t)1 << 32) == NULL && errno == ENOMEM);
    errno = 0;
    CHECK(calloc(huge, 1) == NULL && errno == ENOMEM);
    for (size_t size = 1; size < 3000000; size = size * 3 / 2 + 1)
        for (int round = 0; round < 3; round++) {
            unsigned char *block = calloc(size, 1);
            size_t set = 0;
            for (size_t i = 0; i < size; i++)
                set += block[i] != 0;
            CHECK(set == 0);
            memset(block, 0xff, malloc_usable_size(block));
            free(block);
        }
    void *none = calloc(0, 10), *other = calloc(10, 0);
    CHECK(none != NULL && other != NULL && none != other);
    free(none);
    free(other);
}

static void test_malloc(void)
{
    static void *blocks[1000];
    static const size_t impossible[] = {PTRDIFF_MAX,     (size_t)PTRDIFF_MAX + 1, SIZE_MAX - 1,   SIZE_MAX,
                                        SIZE_MAX - 4095, SIZE_MAX / 2 + 100,      (size_t)1 << 50};
    for (size_t i = 0; i < sizeof(impossible) / sizeof(impossible[0]); i++) {
        volatile size_t size = impossible[i];
        errno = 0;
        CHECK(malloc(size) == NULL && errno == ENOMEM);
    }
    for (int i = 0; i < 1000; i++) {
        blocks[i] = malloc(0);
        CHECK(blocks[i] != NULL);
        for (int j = 0; j < i; j++)
            CHECK(blocks[j] != blocks[i]);
    }
    for (int i = 0; i < 1000; i++)
        free(blocks[i]);
    for (size_t size = 0; size < 300000; size = size * 9 / 8 + 1) {
        char *block = malloc(size);
        CHECK((uintptr_t)block % 16 == 0);
        size_t usable = malloc_usable_size(block);
        CHECK(usable >= size);
        memset(block, 0x5a, usable);
        char *other = malloc(size);
        memset(other, 0xa5, malloc_usable_size(other));
        CHECK(malloc_usable_size(block) == usable);
        CHECK(usable == 0 || (block[0] == 0x5a && block[usable - 1] == 0x5a));
        free(block);
        free(other);
    }
}

static void test_free(void)
{
    void *blocks[] = {malloc(10), malloc(10000), malloc(10000000), NULL};
    for (size_t i = 0; i < sizeof(blocks) / sizeof(blocks[0]); i++) {
        errno = 4711;
        free(blocks[i]);
        CHECK(errno == 4711);
    }
    CHECK(malloc_usable_size(NULL) == 0);
}

static void test_information(void)
{
    void *block = malloc(5000000);
    struct mallinfo2 wide = mallinfo2();
    CHECK(wide.uordblks + wide.hblkhd >= 5000000);
    struct mallinfo narrow = mallinfo();
    CHECK(narrow.uordblks + narrow.hblkhd >= 5000000);
    free(block);
    CHECK(mallopt(M_ARENA_MAX, 2) == 1);
    malloc_trim(0);
    char *text = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&text, &size);
    CHECK(malloc_info(0, stream) == 0);
    fclose(stream);
    CHECK(strncmp(text, "<malloc version=\"1\">", 20) == 0 && strstr(text, "</malloc>") != NULL);
    free(text);
    CHECK(malloc_info(1, stderr) != 0);
}

int main(int argc, char **argv)
{
    is_bare = argc == 2 && strcmp(argv[1], "bare") == 0;
    test_malloc();
    test_calloc();
    test_realloc();
    test_posix_memalign();
    test_aligned_alloc();
    test_memalign();
    test_free();
    test_information();
    return failures != 0;
}
