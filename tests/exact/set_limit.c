/*
 * Set a limit in a running process from outside, by its control page: set_limit PID NAME MORE.
 *
 * NAME is the long name of a slot, or "paged" for that pool; MORE are the bytes that may be added to what is live
 * now, or -1 to take the limit away.  The slot's live bytes are printed.
 */
#include "census.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static void fail(const char *what)
{
    fprintf(stderr, "set_limit: %s\n", what);
    exit(1);
}

static void *map_segment(const char *pid, size_t *size)
{
    char path[64];
    struct stat st;
    snprintf(path, sizeof(path), TAGPOOL_SEGMENT_DIR "/" TAGPOOL_SEGMENT_PREFIX "%u.%s", geteuid(), pid);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) != 0)
        fail(path);
    void *base = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (base == MAP_FAILED)
        fail("mmap");
    *size = (size_t)st.st_size;
    return base;
}

static uint32_t find_slot(const struct tp_census_view *view, const char *name)
{
    for (uint32_t slot = 1; slot < tp_census_slot_limit(view); slot++)
        if (view->slots[slot].used && strcmp(view->slots[slot].name, name) == 0)
            return slot;
    fail("no such slot");
    return 0;
}

static uint64_t live_bytes(const struct tp_census_view *view, uint32_t slot)
{
    struct tp_census_sum sum;
    uint64_t bytes = 0;
    uint32_t first = slot != 0 ? slot : 1, end = slot != 0 ? slot + 1 : tp_census_slot_limit(view);
    for (uint32_t i = first; i < end; i++) {
        tp_census_sum(view, i, 1, &sum);
        bytes += view->slots[i].kind == 1 ? tp_census_live_bytes(&sum) : 0;
    }
    return bytes;
}

int main(int argc, char **argv)
{
    struct tp_census_view view;
    size_t size;
    if (argc != 4)
        fail("usage: set_limit PID NAME MORE");
    char *base = map_segment(argv[1], &size);
    if (tp_census_open(&view, base, size) != 0)
        fail("not a segment");
    struct tagpool_segment_control *control = (struct tagpool_segment_control *)(base + TAGPOOL_SEGMENT_PAGE);
    uint32_t slot = strcmp(argv[2], "paged") == 0 ? 0 : find_slot(&view, argv[2]);
    uint64_t live = live_bytes(&view, slot);
    long long more = atoll(argv[3]);
    control->limits[0] = (struct tagpool_segment_limit){
        .slot = slot, .kind = 1, .hard_bytes = more < 0 ? 0 : live + (uint64_t)more};
    control->limits_count = 1;
    __atomic_fetch_add(&control->limits_version, 1, __ATOMIC_RELEASE);
    __atomic_fetch_add(&control->epoch, 1, __ATOMIC_RELEASE);
    printf("%llu\n", (unsigned long long)live);
    return 0;
}
