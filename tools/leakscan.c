#include "leakscan.h"
#include "memory.h"
#include "report.h"
#include "tracee.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

/* Pieces that one look works in. */
enum { LEAKSCAN_PIECES = 32 };

/* Small ranges are cut from larger ones, of which so many are kept: 512 MiB. */
#define LEAKSCAN_GRAIN ((size_t)16 << 10)
#define LEAKSCAN_GRAINS ((size_t)32768)

/* Between two looks: threads get to another place. */
enum { LEAKSCAN_PAUSE_MS = 100 };

#define LEAKSCAN_SUSPECTS ((size_t)256 << 20)

/* What a function uses below its stack pointer without saying so, on x86-64. */
#define LEAKSCAN_RED_ZONE 128

struct leakscan_image {
    struct tp_image image;
    pid_t pid;
    int maps;
    int pages;
    char *copies;      /* of grains, each in one place that it may have; NULL: none is kept */
    uintptr_t *grains; /* whose copies they are */
    struct iovec pieces[LEAKSCAN_PIECES];
    size_t piece_count;
};

/* ---- the image ---- */

static bool leakscan_copy(const struct leakscan_image *image, const struct tp_image_range *range, void *to)
{
    const struct iovec here = {to, range->size}, there = {(void *)range->at, range->size};
    return process_vm_readv(image->pid, &here, 1, &there, 1, 0) == (ssize_t)range->size;
}

/* What lies in a grain, from an address in it on; NULL: it cannot be read as a whole. */
static const char *leakscan_grain(struct leakscan_image *image, uintptr_t at)
{
    const struct tp_image_range grain = {at & ~(uintptr_t)(LEAKSCAN_GRAIN - 1), LEAKSCAN_GRAIN};
    size_t place = grain.at / LEAKSCAN_GRAIN % LEAKSCAN_GRAINS;
    char *copy = image->copies + place * LEAKSCAN_GRAIN;
    if (image->grains[place] != grain.at) {
        image->grains[place] = 0;
        if (!leakscan_copy(image, &grain, copy))
            return NULL;
        image->grains[place] = grain.at;
    }
    return copy + (at - grain.at);
}

/* Neighbours are asked for soon: a system call for each block takes a hundred times as long. */
static bool leakscan_read_cached(struct leakscan_image *image, struct tp_image_range range, char *to)
{
    while (range.size > 0) {
        size_t left = LEAKSCAN_GRAIN - range.at % LEAKSCAN_GRAIN;
        size_t size = range.size < left ? range.size : left;
        const char *copy = leakscan_grain(image, range.at);
        if (copy == NULL)
            return leakscan_copy(image, &range, to);
        memcpy(to, copy, size);
        to += size;
        range.at += size;
        range.size -= size;
    }
    return true;
}

static bool leakscan_read(struct tp_image *image, const struct tp_image_range *ranges, unsigned count, void *to)
{
    struct leakscan_image *own = (struct leakscan_image *)image;
    char *at = to;
    for (unsigned i = 0; i < count; at += ranges[i++].size) {
        bool is_cached = own->copies != NULL && ranges[i].size < LEAKSCAN_GRAIN;
        if (!(is_cached ? leakscan_read_cached(own, ranges[i], at) : leakscan_copy(own, &ranges[i], at)))
            return false;
    }
    return true;
}

static bool leakscan_read_pages(struct tp_image *image, uintptr_t at, size_t count, uint64_t *entries)
{
    ssize_t size = (ssize_t)(count * sizeof(entries[0]));
    return pread(((struct leakscan_image *)image)->pages, entries, (size_t)size,
                 (off_t)(at / 4096 * sizeof(entries[0]))) == size;
}

static int leakscan_read_maps(struct tp_image *image, char *to, size_t size)
{
    ssize_t length = read(((struct leakscan_image *)image)->maps, to, size);
    return length < 0 ? -errno : (int)length;
}

static void *leakscan_memory(struct tp_image *image, size_t size)
{
    struct leakscan_image *own = (struct leakscan_image *)image;
    void *p = own->piece_count < LEAKSCAN_PIECES
                  ? mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
                  : MAP_FAILED;
    if (p == MAP_FAILED)
        return NULL;
    own->pieces[own->piece_count++] = (struct iovec){p, size};
    return p;
}

static int leakscan_open(pid_t pid, const char *name)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
    return open(path, O_RDONLY | O_CLOEXEC);
}

static void leakscan_open_image(struct leakscan_image *image, pid_t pid)
{
    *image = (struct leakscan_image){
        .image = {leakscan_read, leakscan_read_pages, leakscan_read_maps, leakscan_memory},
        .pid = pid,
        .maps = leakscan_open(pid, "maps"),
        .pages = leakscan_open(pid, "pagemap"),
    };
    image->grains = leakscan_memory(&image->image, LEAKSCAN_GRAINS * sizeof(image->grains[0]));
    image->copies = image->grains != NULL ? leakscan_memory(&image->image, LEAKSCAN_GRAINS * LEAKSCAN_GRAIN) : NULL;
}

static void leakscan_close_image(struct leakscan_image *image)
{
    for (size_t i = 0; i < image->piece_count; i++)
        munmap(image->pieces[i].iov_base, image->pieces[i].iov_len);
    if (image->maps >= 0)
        close(image->maps);
    if (image->pages >= 0)
        close(image->pages);
}

/* ---- looks ---- */

static int leakscan_find(struct leakscan *scan, const struct tracee *tracee, const struct process *process,
                         struct tp_leak_suspects *suspects)
{
    struct leakscan_image image;
    leakscan_open_image(&image, process->pid);
    const struct tp_leak_look look = {
        .image = &image.image,
        .chart = process->file.header.chart,
        .words = tracee->words,
        .word_count = tracee->word_count,
        .stacks = tracee->stacks,
        .stack_count = tracee->stack_count,
        .red_zone = LEAKSCAN_RED_ZONE,
        .by_stack = true,
        .suspects = suspects,
        .is_second = scan->looks > 0,
    };
    int error = tp_leak_find(&look, scan->result);
    leakscan_close_image(&image);
    return error;
}

static int leakscan_look(struct leakscan *scan, const struct process *process, struct tp_leak_suspects *suspects)
{
    struct tracee tracee;
    int error = tracee_stop(&tracee, process->pid);
    if (error != 0) {
        tracee_explain(process->pid, error);
        return STATUS_FAILED;
    }
    error = leakscan_find(scan, &tracee, process, suspects);
    scan->paused_ms[scan->looks++] = tracee_resume(&tracee);
    if (error == -EPROTO)
        report("process %d runs another version of tagpool than this one.", (int)process->pid);
    else if (error != 0)
        report("the memory of process %d cannot be read: %s.", (int)process->pid, strerror(-error));
    return error != 0 ? STATUS_FAILED : 0;
}

static bool leakscan_is_in_doubt(const struct leakscan *scan)
{
    return scan->result->blocks[TAGPOOL_REPORT_LOST] != 0 || scan->result->blocks[TAGPOOL_REPORT_POSSIBLY_LOST] != 0;
}

static int leakscan_look_twice(struct leakscan *scan, const struct process *process, struct tp_leak_suspects *suspects)
{
    const struct timespec pause = {.tv_nsec = LEAKSCAN_PAUSE_MS * 1000000};
    int status = leakscan_look(scan, process, suspects);
    if (status != 0 || !leakscan_is_in_doubt(scan))
        return status;
    nanosleep(&pause, NULL);
    return leakscan_look(scan, process, suspects);
}

int leakscan_run(struct leakscan *scan, const struct process *process)
{
    struct tp_leak_suspects *suspects =
        mmap(NULL, LEAKSCAN_SUSPECTS, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    *scan = (struct leakscan){.result = memory_alloc(1, sizeof(*scan->result))};
    if (suspects == MAP_FAILED) {
        report("there is no memory to work in: %s.", strerror(errno));
        return STATUS_FAILED;
    }
    suspects->room = (LEAKSCAN_SUSPECTS - sizeof(*suspects)) / sizeof(suspects->keys[0]);
    int status = leakscan_look_twice(scan, process, suspects);
    munmap(suspects, LEAKSCAN_SUSPECTS);
    return status;
}

void leakscan_free(struct leakscan *scan)
{
    free(scan->result);
}

unsigned leakscan_frames(const struct process *process, uint32_t stack, uintptr_t *frames, unsigned most)
{
    struct leakscan_image image = {.image = {.read = leakscan_read}, .pid = process->pid};
    return tp_leak_frames(&image.image, process->file.header.chart, stack, frames, most);
}
