#include "claims.h"
#include "memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* 8 MiB, of which memory holds what is used. */
#define CLAIMS_CAPACITY (1u << 20)

static int claims_create(struct claims *claims, const char *directory)
{
    claims->path = memory_format("%s/claims", directory);
    claims->size = sizeof(struct tagpool_claims) + CLAIMS_CAPACITY * sizeof(uint64_t);
    claims->map = MAP_FAILED;
    int fd = open(claims->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd >= 0 && ftruncate(fd, (off_t)claims->size) == 0)
        claims->map = mmap(NULL, claims->size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    int error = claims->map == MAP_FAILED ? -errno : 0;
    if (fd >= 0)
        close(fd);
    if (error != 0) {
        free(claims->path);
        return error;
    }
    claims->map->capacity = CLAIMS_CAPACITY;
    claims->map->magic = TAGPOOL_CLAIMS_MAGIC;
    return 0;
}

int claims_create_in_scratch(struct claims *claims, struct scratch *scratch)
{
    int error = scratch_create(scratch);
    if (error != 0)
        return error;
    error = claims_create(claims, scratch->path);
    if (error != 0)
        scratch_remove(scratch);
    return error;
}

void claims_fini(struct claims *claims)
{
    munmap(claims->map, claims->size);
    free(claims->path);
}

static uint64_t *claims_table(const struct claims *claims)
{
    return (uint64_t *)(claims->map + 1);
}

/* Runs may be entering theirs meanwhile. */
void claims_enter(struct claims *claims, uint64_t hash)
{
    uint64_t *table = claims_table(claims);
    for (uint64_t i = 0; i < CLAIMS_CAPACITY; i++) {
        uint64_t there = 0;
        if (__atomic_compare_exchange_n(&table[(hash + i) % CLAIMS_CAPACITY], &there, hash, false, __ATOMIC_ACQ_REL,
                                        __ATOMIC_ACQUIRE) ||
            there == hash)
            return;
    }
}

/* A sample is enough: hashes lie evenly. */
bool claims_are_full(const struct claims *claims)
{
    const uint64_t *table = claims_table(claims);
    unsigned used = 0;
    const unsigned sample = 1024;
    for (unsigned i = 0; i < sample; i++)
        used += __atomic_load_n(&table[i], __ATOMIC_RELAXED) != 0;
    return used > sample * 3 / 4;
}

struct tagpool_claims_run *claims_begin_run(struct claims *claims, unsigned run)
{
    struct tagpool_claims_run *place = &claims->map->runs[run];
    place->pid = 0;
    place->is_over = 0;
    __atomic_store_n(&place->hash, 0, __ATOMIC_RELEASE);
    return place;
}
