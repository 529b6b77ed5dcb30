/*
 * A cache that stays within a limit: told at the soft one it gives up old pages, so the hard one is never met.
 *
 * Then what can be done without asks at low priority, and is refused first when the pool runs short.
 */
#include <tagpool.h>

#include <stdio.h>
#include <stdlib.h>

#define CACHE TAGPOOL_TAG('C', 'a', 'c', 'h')
#define GUESS TAGPOOL_TAG('G', 'u', 'e', 's')

enum { PAGE = 1024, PAGES = 64, SOFT = 48, KEEP = 32, BATCH = 100 };

struct cache {
    void *pages[PAGES];
    unsigned count;
    unsigned most;
    unsigned shed;
};

/* The oldest pages go. */
static void cache_shed(uint64_t bytes, void *context)
{
    struct cache *cache = context;
    (void)bytes;
    unsigned surplus = cache->count > KEEP ? cache->count - KEEP : 0;
    for (unsigned i = 0; i < cache->count; i++) {
        if (i < surplus)
            tagpool_free(cache->pages[i]);
        else
            cache->pages[i - surplus] = cache->pages[i];
    }
    cache->count -= surplus;
    cache->shed++;
}

static int cache_add(struct cache *cache)
{
    void *page = tagpool_alloc(TAGPOOL_PAGED, PAGE, CACHE);
    if (page == NULL)
        return -1;
    cache->pages[cache->count++] = page;
    if (cache->count > cache->most)
        cache->most = cache->count;
    return 0;
}

static void fill_cache(void)
{
    struct cache cache = {.count = 0};
    unsigned refused = 0;
    const tagpool_limit_t limit = {
        .soft = SOFT * PAGE, .hard = PAGES * PAGE, .crossed = cache_shed, .context = &cache};
    if (tagpool_limit_tag(TAGPOOL_PAGED, CACHE, &limit) != 0) {
        perror("limit");
        exit(1);
    }
    for (unsigned i = 0; i < 1000; i++)
        refused += cache_add(&cache) != 0;
    printf("asked for 1000 pages  refused %u  shed %u times  most %u pages of %u\n", refused, cache.shed, cache.most,
           (unsigned)PAGES);
    while (cache.count > 0)
        tagpool_free(cache.pages[--cache.count]);
}

static unsigned count_served(unsigned flags)
{
    void *blocks[BATCH];
    unsigned served = 0;
    for (unsigned i = 0; i < BATCH; i++) {
        blocks[served] = tagpool_alloc_flags(TAGPOOL_PAGED, PAGE, GUESS, flags);
        served += blocks[served] != NULL;
    }
    for (unsigned i = 0; i < served; i++)
        tagpool_free(blocks[i]);
    return served;
}

/* The pool holds what the C library has from it as well, when this runs under `tagpool run`. */
static uint64_t pool_held(void)
{
    const tagpool_limit_t none = {.hard = UINT64_MAX};
    tagpool_limit_state_t state;
    if (tagpool_limit_pool(TAGPOOL_PAGED, &none) != 0 || tagpool_limit_pool_state(TAGPOOL_PAGED, &state) != 0) {
        perror("limit of the pool");
        exit(1);
    }
    return state.held;
}

int main(void)
{
    fill_cache();

    uint64_t held = pool_held();
    const tagpool_limit_t limit = {.low = held + BATCH * PAGE / 2, .hard = held + 2 * BATCH * PAGE};
    if (tagpool_limit_pool(TAGPOOL_PAGED, &limit) != 0) {
        perror("limit of the pool");
        return 1;
    }
    unsigned low = count_served(TAGPOOL_LOW);
    unsigned normal = count_served(TAGPOOL_NORMAL);
    printf("low %u of %u  normal %u of %u\n", low, (unsigned)BATCH, normal, (unsigned)BATCH);
    return 0;
}
