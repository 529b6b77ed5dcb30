#include "segment_build.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static uint64_t build_round_up(uint64_t n)
{
    return (n + TAGPOOL_SEGMENT_PAGE - 1) / TAGPOOL_SEGMENT_PAGE * TAGPOOL_SEGMENT_PAGE;
}

static void build_fill_classes(struct tagpool_segment_header *header)
{
    for (unsigned class = 0; class < TAGPOOL_SEGMENT_CLASSES; class++) {
        header->class_size[0][class] = 16 * (class + 1);
        header->class_size[1][class] = class < 16 ? 16u << class : 0;
    }
}

void segment_build_init(struct segment_build *build, uint32_t slots, uint32_t tallies, uint64_t rows)
{
    uint64_t slots_offset = 2 * TAGPOOL_SEGMENT_PAGE;
    uint64_t tallies_offset = build_round_up(slots_offset + slots * sizeof(struct tagpool_segment_slot));
    uint64_t quotas_offset = build_round_up(tallies_offset + tallies * sizeof(struct tagpool_segment_tally));
    uint64_t rows_offset = build_round_up(quotas_offset + SEGMENT_BUILD_QUOTAS * sizeof(struct tagpool_segment_quota));
    build->size = build_round_up(rows_offset + rows * sizeof(struct tagpool_segment_row));
    build->bytes = aligned_alloc(TAGPOOL_SEGMENT_PAGE, build->size);
    if (build->bytes == NULL)
        abort();
    memset(build->bytes, 0, build->size);
    build->header = (void *)build->bytes;
    build->slots = (void *)(build->bytes + slots_offset);
    build->tallies = (void *)(build->bytes + tallies_offset);
    build->quotas = (void *)(build->bytes + quotas_offset);
    build->rows = (void *)(build->bytes + rows_offset);
    *build->header = (struct tagpool_segment_header){
        .magic = TAGPOOL_SEGMENT_MAGIC,
        .version = TAGPOOL_SEGMENT_VERSION,
        .header_size = sizeof(struct tagpool_segment_header),
        .file_size = build->size,
        .slot_size = sizeof(struct tagpool_segment_slot),
        .slot_count = slots,
        .slots_offset = slots_offset,
        .tally_size = sizeof(struct tagpool_segment_tally),
        .tally_count = tallies,
        .tallies_offset = tallies_offset,
        .quota_size = sizeof(struct tagpool_segment_quota),
        .quota_count = SEGMENT_BUILD_QUOTAS,
        .quotas_offset = quotas_offset,
        .row_size = sizeof(struct tagpool_segment_row),
        .unit_shift = 16,
        .rows_offset = rows_offset,
        .row_count = rows,
        .state = TAGPOOL_SEGMENT_RUNNING,
        .slots_used_total = 1,
        .tallies_used_total = 1,
        .quotas_used_total = 1,
        .region = {{0, 0}, {rows, 0}},
    };
    build_fill_classes(build->header);
    segment_build_identify(build, getpid(), "test");
}

void segment_build_free(struct segment_build *build)
{
    free(build->bytes);
}

void segment_build_identify(struct segment_build *build, pid_t pid, const char *program)
{
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    build->header->pid = (uint32_t)pid;
    build->header->uid = geteuid();
    build->header->created_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
    build->header->nonce = 0x1234;
    memset(build->header->program, 0, sizeof(build->header->program));
    memcpy(build->header->program, program, strnlen(program, sizeof(build->header->program) - 1));
}

struct tagpool_segment_slot *segment_build_slot(struct segment_build *build, uint32_t index, const char *tag,
                                                enum tagpool_segment_face face, const char *name)
{
    struct tagpool_segment_slot *slot = &build->slots[index];
    memcpy(&slot->tag, tag, sizeof(slot->tag));
    slot->used = 1;
    slot->kind = 1;
    slot->face = (uint8_t)face;
    memcpy(slot->name, name, strnlen(name, sizeof(slot->name) - 1));
    if (build->header->slots_used_total < index + 1)
        build->header->slots_used_total = index + 1;
    return slot;
}

struct tagpool_segment_quota *segment_build_quota(struct segment_build *build, uint32_t index, uint32_t parent,
                                                  const char *name, uint64_t limit, uint64_t held)
{
    struct tagpool_segment_quota *quota = &build->quotas[index];
    quota->used = 1;
    quota->parent = parent;
    quota->limit_bytes[1] = limit;
    quota->held_bytes[1] = held;
    quota->peak_bytes[1] = 2 * held;
    memcpy(quota->name, name, strnlen(name, sizeof(quota->name) - 1));
    if (build->header->quotas_used_total < index + 1)
        build->header->quotas_used_total = index + 1;
    return quota;
}

void segment_build_tally(struct segment_build *build, uint32_t index, uint32_t slot, uint64_t allocs, uint64_t frees,
                         uint64_t block_size)
{
    build->tallies[index] = (struct tagpool_segment_tally){
        .slot = slot,
        .thread = 1,
        .allocs_total = allocs,
        .frees_total = frees,
        .alloc_bytes_total = allocs * block_size,
        .free_bytes_total = frees * block_size,
    };
    if (build->header->tallies_used_total < index + 1)
        build->header->tallies_used_total = index + 1;
}

void segment_build_row(struct segment_build *build, uint64_t index, uint32_t slot, unsigned table, unsigned class,
                       uint64_t allocs, uint64_t frees)
{
    build->rows[index] = (struct tagpool_segment_row){
        .id = UINT64_C(7) << 32 | (uint64_t)slot << 16 | table << 8 | class,
        .allocs_total = allocs,
        .frees_total = frees,
    };
    if (build->header->region[0].used_total < index + 1)
        build->header->region[0].used_total = index + 1;
}

static int build_write_pages(const struct segment_build *build, int fd)
{
    static const unsigned char zeros[TAGPOOL_SEGMENT_PAGE];
    if (ftruncate(fd, (off_t)build->size) != 0)
        return -errno;
    for (size_t at = 0; at < build->size; at += TAGPOOL_SEGMENT_PAGE)
        if (memcmp(build->bytes + at, zeros, TAGPOOL_SEGMENT_PAGE) != 0 &&
            pwrite(fd, build->bytes + at, TAGPOOL_SEGMENT_PAGE, (off_t)at) != TAGPOOL_SEGMENT_PAGE)
            return -EIO;
    return 0;
}

int segment_build_write(const struct segment_build *build, const char *directory, char **path)
{
    if (asprintf(path, "%s/%s%u.%u", directory, TAGPOOL_SEGMENT_PREFIX, build->header->uid, build->header->pid) < 0) {
        *path = NULL;
        return -ENOMEM;
    }
    int fd = open(*path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    int error = build_write_pages(build, fd);
    close(fd);
    return error;
}

void *segment_build_map(const char *path)
{
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return NULL;
    void *address = mmap(NULL, TAGPOOL_SEGMENT_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    return address != MAP_FAILED ? address : NULL;
}
