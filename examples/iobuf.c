/*
 * A file copied past the system's cache, through a pool of I/O buffers: iobuf [FROM TO].
 *
 * Buffers for a whole request are taken once.  Each request reads into them and writes from them; no byte is copied in
 * memory.  Without arguments a file is made to be copied, and both are removed.
 */
#include <tagpool.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BUFFERS TAGPOOL_TAG('C', 'o', 'p', 'y')

enum { BUFFER_SIZE = 65536, COUNT = 8, BLOCK = 4096, MADE_SIZE = 3000000 };

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

/* Some file systems (tmpfs before Linux 6.5, say) have no O_DIRECT: the same calls work without. */
static int open_direct(const char *path, int flags)
{
    int file = open(path, flags | O_DIRECT, 0600);
    if (file < 0 && errno == EINVAL)
        file = open(path, flags, 0600);
    if (file < 0)
        fail(path);
    return file;
}

/* The list with as many bytes as are to be written: the file's end is rounded up to a block, as O_DIRECT wants it. */
static tagpool_iobuf_list_t shortened(const tagpool_iobuf_list_t *list, size_t size, struct iovec *pieces)
{
    tagpool_iobuf_list_t result = {.pieces = pieces, .room = COUNT};
    for (size_t left = (size + BLOCK - 1) / BLOCK * BLOCK; left > 0; left -= pieces[result.count++].iov_len) {
        pieces[result.count] = list->pieces[result.count];
        if (pieces[result.count].iov_len > left)
            pieces[result.count].iov_len = left;
    }
    return result;
}

static off_t copy(tagpool_iobuf_t *pool, int from, int to)
{
    struct iovec pieces[COUNT], rest[COUNT];
    tagpool_iobuf_list_t list = {.pieces = pieces, .room = COUNT};
    off_t offset = 0;
    ssize_t size = COUNT * BUFFER_SIZE;
    if (tagpool_iobuf_get_list(pool, COUNT * BUFFER_SIZE, &list) != 0)
        fail("buffers");
    while (size == COUNT * BUFFER_SIZE) {
        size = tagpool_iobuf_read_list(pool, from, &list, (uint64_t)offset);
        if (size < 0 || (size < COUNT * BUFFER_SIZE && errno != 0))
            fail("read");
        tagpool_iobuf_list_t part = shortened(&list, (size_t)size, rest);
        if (tagpool_iobuf_write_list(pool, to, &part, (uint64_t)offset) < size)
            fail("write");
        offset += size;
    }
    tagpool_iobuf_put_list(pool, &list);
    if (ftruncate(to, offset) != 0)
        fail("truncate");
    return offset;
}

static void make_file(const char *path)
{
    static char bytes[MADE_SIZE];
    FILE *file = fopen(path, "w");
    for (size_t i = 0; i < MADE_SIZE; i++)
        bytes[i] = (char)(i * 40503 >> 8);
    if (file == NULL || fwrite(bytes, 1, MADE_SIZE, file) != MADE_SIZE || fclose(file) != 0)
        fail(path);
}

/* By pieces: without memory for its own buffer, stdio reads byte by byte. */
static int files_are_equal(const char *first, const char *second)
{
    static char pieces[2][65536];
    FILE *a = fopen(first, "r");
    FILE *b = fopen(second, "r");
    size_t size;
    int equal;
    if (a == NULL || b == NULL)
        fail("compare");
    do {
        size = fread(pieces[0], 1, sizeof(pieces[0]), a);
        equal = fread(pieces[1], 1, sizeof(pieces[1]), b) == size && memcmp(pieces[0], pieces[1], size) == 0;
    } while (equal && size > 0);
    fclose(a);
    fclose(b);
    return equal;
}

static void print_numbers(const tagpool_iobuf_t *pool, off_t size)
{
    tagpool_iobuf_stats_t stats;
    tagpool_iobuf_stats(pool, &stats);
    printf("copied %lld bytes by %s\n", (long long)size, stats.uring_error == 0 ? "io_uring" : "preadv and pwritev");
    if (stats.uring_error != 0)
        printf("no io_uring: %s\n", strerror(stats.uring_error));
    printf("requests %llu  pieces %llu  system calls %llu\n", (unsigned long long)stats.requests,
           (unsigned long long)stats.pieces, (unsigned long long)stats.calls);
}

/* Names for files of our own, which exist from here on. */
static void name_files(char *from, char *to, size_t size)
{
    const char *directory = getenv("TMPDIR") != NULL ? getenv("TMPDIR") : "/var/tmp";
    snprintf(from, size, "%s/iobuf-from-XXXXXX", directory);
    snprintf(to, size, "%s/iobuf-to-XXXXXX", directory);
    int first = mkstemp(from);
    int second = mkstemp(to);
    if (first < 0 || second < 0)
        fail(directory);
    close(first);
    close(second);
}

int main(int argc, char **argv)
{
    const tagpool_iobuf_options_t options = {.tag = BUFFERS, .buffer_size = BUFFER_SIZE, .count = COUNT};
    char own[2][4096];
    const char *from = argc == 3 ? argv[1] : own[0];
    const char *to = argc == 3 ? argv[2] : own[1];
    if (argc != 3) {
        name_files(own[0], own[1], sizeof(own[0]));
        make_file(from);
    }
    tagpool_iobuf_t *pool = tagpool_iobuf_create(&options);
    if (pool == NULL)
        fail("pool");
    off_t size = copy(pool, open_direct(from, O_RDONLY), open_direct(to, O_WRONLY | O_CREAT | O_TRUNC));
    print_numbers(pool, size);
    printf("equal %s  still out %zu\n", files_are_equal(from, to) ? "yes" : "no", tagpool_iobuf_destroy(pool));
    if (argc != 3) {
        unlink(from);
        unlink(to);
    }
    return 0;
}
