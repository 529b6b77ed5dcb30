#include "space.h"
#include "page.h"

#include <errno.h>

struct tp_space tp_space __attribute__((aligned(TP_CACHE_LINE)));
struct tp_area tp_areas[TP_AREA_COUNT];
size_t tp_space_threads;
enum tp_backing tp_space_backing;

/* Pool sizes that are tried, largest first.  (unsourced: 1 TiB serves any machine, the rest serves RLIMIT_AS) */
#define SPACE_POOL_MAX ((size_t)1 << 40)
#define SPACE_POOL_MIN (64 * TP_MIB)

/* Tables of the two pools follow each other without a gap when sizes are multiples of this. */
#define SPACE_POOL_STEP (32 * TP_MIB)

/* A nonpaged pool is bounded by RAM that may be locked, so a fraction of the space is plenty. */
#define SPACE_NONPAGED_SHARE 8

/* One thread record for each 64 MiB of pool, within these bounds. */
#define SPACE_THREADS_MAX 16384
#define SPACE_THREADS_MIN 64

/* Alignment of areas: page tables are shared by fewer areas, and large blocks can be aligned to 2 MiB. */
#define SPACE_ALIGN (2 * TP_MIB)

/* Commit this much at once where an area grows in small steps. */
#define SPACE_STEP (64 * TP_KIB)

static void space_lay_out(size_t paged, size_t nonpaged, size_t sizes[TP_AREA_COUNT])
{
    size_t paged_units = paged >> TP_UNIT_SHIFT;
    size_t nonpaged_units = nonpaged >> TP_UNIT_SHIFT;
    tp_space_threads = tp_min(tp_max(paged / (64 * TP_MIB), SPACE_THREADS_MIN), SPACE_THREADS_MAX);
    sizes[TP_AREA_OWNERS_PAGED] = paged_units * sizeof(uint64_t);
    sizes[TP_AREA_OWNERS_NONPAGED] = nonpaged_units * sizeof(uint64_t);
    sizes[TP_AREA_PAGES_PAGED] = paged_units * sizeof(struct tp_page);
    sizes[TP_AREA_PAGES_NONPAGED] = nonpaged_units * sizeof(struct tp_page);
    sizes[TP_AREA_GATES] = tp_space_threads * TP_GATE_STRIDE;
    sizes[TP_AREA_THREADS] = tp_space_threads * TP_THREAD_STRIDE;
    sizes[TP_AREA_METADATA] = paged / 64;
    sizes[TP_AREA_POOL_PAGED] = paged;
    sizes[TP_AREA_POOL_NONPAGED] = nonpaged;
}

/* Areas of one array for both pools follow each other without a gap, so that one unit index serves both. */
static size_t space_area_align(int id)
{
    return id == TP_AREA_OWNERS_NONPAGED || id == TP_AREA_PAGES_NONPAGED || id == TP_AREA_POOL_NONPAGED ? TP_OS_PAGE
                                                                                                        : SPACE_ALIGN;
}

static size_t space_place(char *base, const size_t sizes[TP_AREA_COUNT])
{
    size_t offset = 0;
    for (int id = 0; id < TP_AREA_COUNT; id++) {
        offset = tp_round_up(offset, space_area_align(id));
        tp_areas[id] = (struct tp_area){base + offset, sizes[id], 0};
        offset += sizes[id];
    }
    return offset;
}

/* Put one memory file behind both pools: they lie side by side. */
static int space_share(void)
{
    struct tp_area *paged = &tp_areas[TP_AREA_POOL_PAGED];
    size_t size = paged->size + tp_areas[TP_AREA_POOL_NONPAGED].size;
    int fd = tp_os_memory_file(size);
    if (fd < 0)
        return fd;
    int error = tp_os_reserve_at(paged->base, size, fd);
    tp_os_close(fd);
    return error;
}

static int space_try(size_t paged, enum tp_backing backing)
{
    size_t sizes[TP_AREA_COUNT];
    space_lay_out(paged, paged / SPACE_NONPAGED_SHARE, sizes);
    size_t total = space_place(NULL, sizes) + SPACE_ALIGN;
    char *base = tp_os_reserve(total);
    if (base == NULL)
        return -ENOMEM;
    space_place((char *)tp_round_up((uintptr_t)base, SPACE_ALIGN), sizes);
    int error = backing == TP_BACKING_SHARED ? space_share() : 0;
    if (error != 0)
        tp_os_release(base, total);
    return error;
}

/* A limited address space is shared with the program: two fifths of it for the paged pool, some for our tables. */
static size_t space_first_size(void)
{
    size_t limit = tp_os_limit_address_space();
    size_t share = limit / 5 * 2 & ~(SPACE_POOL_STEP - 1);
    return tp_max(tp_min(share, SPACE_POOL_MAX), SPACE_POOL_MIN);
}

int tp_space_init(enum tp_backing backing)
{
    size_t size = space_first_size();
    while (space_try(size, backing) != 0) {
        size = size / 2 & ~(SPACE_POOL_STEP - 1);
        if (size < SPACE_POOL_MIN)
            return -ENOMEM;
    }
    tp_space_backing = backing;
    tp_space.base = (uintptr_t)tp_areas[TP_AREA_POOL_PAGED].base;
    tp_space.owners = (uint64_t *)tp_areas[TP_AREA_OWNERS_PAGED].base;
    tp_space.pages = (struct tp_page *)tp_areas[TP_AREA_PAGES_PAGED].base;
    tp_os_wipe_on_fork(tp_areas[TP_AREA_GATES].base, tp_areas[TP_AREA_GATES].size);
    tp_os_no_huge_pages(tp_areas[TP_AREA_POOL_PAGED].base, tp_areas[TP_AREA_POOL_PAGED].size);
    tp_publish(&tp_space.unit_count, (size + size / SPACE_NONPAGED_SHARE) >> TP_UNIT_SHIFT);
    return 0;
}

int tp_area_grow(enum tp_area_id id, size_t size)
{
    struct tp_area *area = &tp_areas[id];
    if (size <= area->committed)
        return 0;
    size_t target = tp_min(tp_round_up(size, SPACE_STEP), area->size);
    if (size > area->size)
        return -ENOMEM;
    int error = tp_os_commit(area->base + area->committed, target - area->committed);
    if (error == 0)
        area->committed = target;
    return error;
}
