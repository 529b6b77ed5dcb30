/*
 * One pool and one file in every way there is: with io_uring and without, with O_DIRECT and without.
 *
 * Files lie in $TMPDIR or /var/tmp.  Where the file system refuses O_DIRECT, or the system io_uring, this says so and
 * goes the ways that are left.
 */
#ifndef TEST_IOBUF_WAYS_H
#define TEST_IOBUF_WAYS_H

#include "base.h"

#include <tagpool/iobuf.h>

#define TAG TAGPOOL_TAG('I', 'o', 'b', 'f')
enum { SIZE = 16384, COUNT = 8, POOL = COUNT * SIZE, SECTOR = 4096, MOST = 3 * POOL };

extern const tagpool_iobuf_options_t plain;
extern tagpool_iobuf_t *pool;
extern int file;
extern bool is_direct;
extern char bytes[MOST], back[MOST + 1];

/* Each pool must be left with no buffer out. */
void each_way(void (*test)(void));

void create(void);
void destroy(void);
tagpool_iobuf_stats_t stats(void);
struct tagpool_stats account(void);

/* A new file without a name; -1: O_DIRECT is refused. */
int open_file(int flags);

/* What a file has at an offset: no two pieces are alike. */
char byte_at(uint64_t offset);
void fill(char *to, size_t size, uint64_t offset);
void check_filled(const char *from, size_t size, uint64_t offset);

void make_file(size_t size);
void copy_there_and_back(size_t size, uint64_t offset);

#endif
