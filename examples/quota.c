/*
 * Tenants of a server, each with an account: one that takes too much is refused, the others are not.
 *
 * Each thread serves one tenant and is attached to its account.  A request that one tenant makes and another one's
 * thread frees goes back to the tenant that was charged.
 */
#include <tagpool.h>

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define REQUEST TAGPOOL_TAG('R', 'e', 'q', 's')

enum { TENANTS = 3, REQUESTS = 100, SIZE = 1024 };

struct tenant {
    const char *name;
    unsigned wants;
    tagpool_quota_t *quota;
    void *blocks[REQUESTS];
    unsigned served;
    unsigned refused;
};

static void *serve(void *argument)
{
    struct tenant *tenant = argument;
    if (tagpool_quota_attach(tenant->quota) != 0) {
        perror("attach");
        exit(1);
    }
    for (unsigned i = 0; i < tenant->wants; i++) {
        void *block = tagpool_alloc_flags(TAGPOOL_PAGED, SIZE, REQUEST, TAGPOOL_CHARGE);
        if (block != NULL)
            tenant->blocks[tenant->served++] = block;
        else if (errno == EDQUOT)
            tenant->refused++;
    }
    return NULL;
}

static tagpool_quota_t *make_account(tagpool_quota_t *parent, const char *name, uint64_t limit)
{
    const tagpool_quota_limits_t limits = {.paged = limit};
    tagpool_quota_t *quota = tagpool_quota_create(parent, name, &limits);
    if (quota == NULL) {
        perror("account");
        exit(1);
    }
    return quota;
}

static uint64_t held(const tagpool_quota_t *quota)
{
    tagpool_quota_stats_t stats;
    return tagpool_quota_stats(quota, TAGPOOL_PAGED, &stats) == 0 ? stats.held : 0;
}

int main(void)
{
    struct tenant tenants[TENANTS] = {{.name = "small", .wants = 10}, {.name = "greedy", .wants = 100},
                                      {.name = "other", .wants = 40}};
    tagpool_quota_t *all = make_account(NULL, "tenants", 0);
    pthread_t threads[TENANTS];
    for (int i = 0; i < TENANTS; i++) {
        tenants[i].quota = make_account(all, tenants[i].name, 50 * SIZE);
        if (pthread_create(&threads[i], NULL, serve, &tenants[i]) != 0)
            return 1;
    }
    for (int i = 0; i < TENANTS; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < TENANTS; i++)
        printf("%-7s served %u  refused %u  holds %llu KiB\n", tenants[i].name, tenants[i].served, tenants[i].refused,
               (unsigned long long)held(tenants[i].quota) / 1024);
    printf("all     holds %llu KiB\n", (unsigned long long)held(all) / 1024);

    /* By this thread, which is attached to no account. */
    for (int i = 0; i < TENANTS; i++)
        while (tenants[i].served > 0)
            tagpool_free(tenants[i].blocks[--tenants[i].served]);
    printf("freed   holds %llu KiB\n", (unsigned long long)held(all) / 1024);
    for (int i = 0; i < TENANTS; i++)
        tagpool_quota_destroy(tenants[i].quota);
    tagpool_quota_destroy(all);
    return 0;
}
