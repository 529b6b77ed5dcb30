/*
 * A thread that sleeps until memory is low, and then makes a cache smaller.
 */
#include <tagpool.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define CACHE TAGPOOL_TAG('C', 'a', 'c', 'h')

enum { PAGE = 64 * 1024, PAGES = 128 };

struct cache {
    pthread_mutex_t lock;
    void *pages[PAGES];
    unsigned count;
};

static void cache_shrink(struct cache *cache)
{
    pthread_mutex_lock(&cache->lock);
    for (unsigned half = cache->count / 2; cache->count > half;)
        tagpool_free(cache->pages[--cache->count]);
    pthread_mutex_unlock(&cache->lock);
}

static void *shed(void *argument)
{
    struct cache *cache = argument;
    if (tagpool_condition_wait(TAGPOOL_LOW_PAGED, 20000) != 1)
        return "memory was not low";
    printf("memory is low: the cache gives up half\n");
    cache_shrink(cache);
    if (tagpool_condition_wait(TAGPOOL_HIGH_PAGED, 20000) != 1)
        return "memory is still short";
    printf("there is plenty again\n");
    return NULL;
}

/* As many pages as there may be; one that was refused says nothing about the next. */
static void cache_fill(struct cache *cache)
{
    pthread_mutex_lock(&cache->lock);
    for (unsigned tries = 0; tries < PAGES; tries++) {
        void *page = tagpool_alloc(TAGPOOL_PAGED, PAGE, CACHE);
        if (page != NULL)
            cache->pages[cache->count++] = page;
    }
    printf("the cache fills: %u pages\n", cache->count);
    pthread_mutex_unlock(&cache->lock);
}

int main(void)
{
    static struct cache cache = {.lock = PTHREAD_MUTEX_INITIALIZER};
    const tagpool_limit_t limit = {.hard = 8 << 20};
    pthread_t thread;
    void *complaint;
    if (tagpool_limit_pool(TAGPOOL_PAGED, &limit) != 0 || tagpool_condition_fd(TAGPOOL_LOW_PAGED) < 0) {
        perror("condition");
        return 1;
    }
    if (pthread_create(&thread, NULL, shed, &cache) != 0)
        return 1;
    cache_fill(&cache);
    pthread_join(thread, &complaint);
    if (complaint != NULL) {
        fprintf(stderr, "%s\n", (char *)complaint);
        return 1;
    }
    return 0;
}
