/*
 * Print the accounts of a process, a line a slot: name, allocs, frees, live bytes, separated by tabs.
 *
 * Usage: census_print PID.  Exits with 1 when the process has published no segment, with 2 when it is damaged, with 3
 * when a slot kept moving, and with 4 when the file was cut short or its holes cannot be read for lack of room.  The
 * flags of the segment come first, as a line "flags N".
 */
#include "census.h"

#include <fcntl.h>
#include <glob.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { STEP = 64 };

/* The name may be taken by a pipe, a link or a folder: those are no segments. */
static int open_file(const char *path)
{
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0 || (fstat(fd, &status) == 0 && S_ISREG(status.st_mode)))
        return fd;
    close(fd);
    return -1;
}

static int open_pattern(const char *pid, const char *end)
{
    char pattern[128];
    glob_t found;
    int fd = -1;
    snprintf(pattern, sizeof(pattern), "%s/%s*.%s%s", TAGPOOL_SEGMENT_DIR, TAGPOOL_SEGMENT_PREFIX, pid, end);
    if (glob(pattern, 0, NULL, &found) != 0)
        return -1;
    for (size_t i = 0; i < found.gl_pathc && fd < 0; i++)
        fd = open_file(found.gl_pathv[i]);
    globfree(&found);
    return fd;
}

/* By the plain name, or the one with a nonce behind it. */
static int open_segment(const char *pid)
{
    int fd = open_pattern(pid, "");
    return fd >= 0 ? fd : open_pattern(pid, ".*");
}

static int print_slot(const struct tagpool_segment_slot *slot, const struct tp_census_sum *sum)
{
    char letters[5] = {0};
    memcpy(letters, &slot->tag, 4);
    if (slot->used && sum->allocs != 0)
        printf("%s\t%llu\t%llu\t%llu\n", slot->name[0] != '\0' ? slot->name : letters, (unsigned long long)sum->allocs,
               (unsigned long long)sum->frees, (unsigned long long)tp_census_live_bytes(sum));
    return sum->moved;
}

static int print_all(const struct tp_census_view *view)
{
    struct tp_census_sum sums[STEP];
    uint32_t limit = tp_census_slot_limit(view);
    int moved = 0;
    for (uint32_t first = 0; first < limit; first += STEP) {
        uint32_t count = limit - first < STEP ? limit - first : STEP;
        tp_census_sum(view, first, count, sums);
        for (uint32_t i = 0; i < count; i++)
            moved |= print_slot(&view->slots[first + i], &sums[i]);
    }
    return moved;
}

static void give_up(int signal)
{
    (void)signal;
    _exit(4);
}

int main(int argc, char **argv)
{
    signal(SIGBUS, give_up);
    struct stat status;
    struct tp_census_view view;
    int fd = argc == 2 ? open_segment(argv[1]) : -1;
    if (fd < 0 || fstat(fd, &status) != 0) {
        fprintf(stderr, "census_print: no segment\n");
        return 1;
    }
    void *segment = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_SHARED, fd, 0);
    if (segment == MAP_FAILED || tp_census_open(&view, segment, (size_t)status.st_size) != 0) {
        fprintf(stderr, "census_print: not a segment\n");
        return 2;
    }
    printf("flags\t%u\n", view.header->flags);
    return print_all(&view) ? 3 : 0;
}
